"""No photo is billed twice, whatever is lost, killed or emptied; and what was billed can be told to the last job."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from decimal import Decimal

from tests.fleet.conftest import Fleet
from worker.core.photo import Stage
from worker.sandbox.config import Faults

Build = Callable[..., Fleet]

PHOTOS = 500
#: How many photos are staged when a worker is killed; Redis is emptied after the second.
KILLED_AT = (10, 30, 120, 220, 320)
KILLS = len(KILLED_AT)
LOST_RESPONSES = 20


def test_every_bill_is_found_and_no_photo_is_billed_twice_after_losses_kills_and_an_emptied_redis(fleet: Build) -> None:
    """500 photos; at least 20 answers of the API are lost, 5 busy workers are killed, and Redis is emptied once."""
    crew = fleet(workers=2, faults=Faults(lost_responses=0.03))
    listings = crew.photos(PHOTOS)
    crew.enqueue(listings)
    killed, emptied = 0, False

    def strike() -> None:
        nonlocal killed, emptied
        done = crew.snapshot().stages.get(Stage.DONE, 0)
        if not emptied and killed == 2 and done > 60:
            crew._ask(lambda ledger: ledger._redis.flushall())
            # Whoever owns the listings hands them in again; what is staged or paid for is found in the store.
            crew.enqueue(listings)
            emptied = True
        elif killed < KILLS and done > KILLED_AT[killed] and (emptied or killed < 2):
            crew.kill(crew.workers[0])
            crew.start_worker()
            killed += 1

    crew.wait_for_all(PHOTOS, strike)
    assert (killed, emptied) == (KILLS, True)
    books = crew.sandbox.books()
    assert books["faults"]["lost_responses"] >= LOST_RESPONSES
    assert books["jobs_created"] == PHOTOS
    assert max(Counter(job["reference"] for job in books["jobs"]).values()) == 1
    answer = crew.stagecrew("reconcile", "--since", "1d", "--format", "json")
    assert answer.returncode == 0, answer.stdout[:2000] + answer.stderr
    report = json.loads(answer.stdout)
    assert report["adds_up"] is True
    assert {entry["job_id"] for entry in report["entries"]} == {job["job_id"] for job in books["jobs"]}
    assert report["kinds"]["billed_and_staged"] == {"bills": PHOTOS, "amount_usd": "250.00", "without_amount": 0}
    assert set(report["partners"]) == {"partner-0", "partner-1", "partner-2"}
    assert sum(Decimal(listing["amount_usd"]) for listing in report["listings"]) == Decimal("250.00")
