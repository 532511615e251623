"""A worker that is told to end ends in order: what runs is settled, what is not begun is given back, at once.

Leases last ten minutes where it matters: whatever waited for one to run out would not come to its end here.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable

from redis import Redis

from tests.fleet.conftest import Fleet
from worker.core.photo import Stage
from worker.ledger.snapshot import Snapshot

Build = Callable[..., Fleet]

PHOTOS = 40
LONG_S = "600"
#: Celery stops its parts in an order that hangs on the process's hashes: with the first of these seeds the steps' loop
#: before the pool, with the second after it.
SEEDS = ("1", "2")


def end(crew: Fleet, worker: subprocess.Popen[bytes]) -> int:
    """Tell a worker to end; return its exit code."""
    worker.send_signal(signal.SIGTERM)
    crew.workers.remove(worker)
    return worker.wait(120)


def rows(crew: Fleet) -> list[dict[str, str]]:
    """Return the photos' rows."""
    with Redis.from_url(crew.redis.url, decode_responses=True) as redis:
        return [redis.hgetall(key) for key in redis.scan_iter("sc1:{default}:p:*")]  # type: ignore[misc]


def test_workers_told_to_end_under_load_settle_what_runs_and_leave_nothing_leased(fleet: Build) -> None:
    crew = fleet(workers=0)
    crew.environ["STAGECREW_LEASE_S"] = LONG_S
    crew.environ["PYTHONHASHSEED"] = SEEDS[0]
    first = crew.start_worker()
    crew.environ["PYTHONHASHSEED"] = SEEDS[1]
    crew.start_worker()
    crew.enqueue(crew.photos(PHOTOS))
    leads: list[str] = []

    def at_work(found: Snapshot) -> bool:
        leads[:] = [(found.leader or "").split("@")[0]]
        return found.stages.get(Stage.GENERATING, 0) > PHOTOS // 4 and leads != [""]

    crew.wait_for("jobs under a leader", at_work)
    # The leader first, then the last one out.
    leader = first if leads == ["w1"] else crew.workers[1]
    assert end(crew, leader) == 0
    assert not (crew.snapshot().leader or "").startswith(f"{leads[0]}@"), "its lead was given up"
    assert end(crew, crew.workers[0]) == 0
    found = crew.snapshot()
    assert found.leases == 0
    assert found.leader is None
    assert found.stages.get(Stage.DONE, 0) < PHOTOS, "it was in the middle of its work"
    assert [row for row in rows(crew) if row["token"] or "attempt" in row or "lost" in row] == []
    crew.start_worker()
    crew.wait_for_all(PHOTOS)
    assert crew.check_books(staged=PHOTOS)["jobs_created"] == PHOTOS
    assert "steps left to their leases" not in crew.logs()


def test_what_is_not_over_when_patience_ends_is_left_to_its_lease_and_done_once(fleet: Build) -> None:
    crew = fleet(workers=0)
    crew.sandbox.set_faults(slow_ms=60_000)
    crew.enqueue(crew.photos(4))
    crew.environ["STAGECREW_SHUTDOWN_GRACE_S"] = "0.5"
    crew.environ["PYTHONHASHSEED"] = SEEDS[0]
    impatient = crew.start_worker()
    crew.wait_for("steps that take a minute", lambda _: all("opened" in row for row in rows(crew)))
    assert end(crew, impatient) == 0
    assert crew.snapshot().leases == 4
    assert "the grace period is over" in crew.logs()
    # The leases run out, and another one has the photos. It would wait ten minutes, but is told a second time.
    crew.environ["STAGECREW_SHUTDOWN_GRACE_S"] = LONG_S
    crew.environ["PYTHONHASHSEED"] = SEEDS[1]
    patient = crew.start_worker()
    crew.wait_for("the same steps", lambda found: [one.busy for one in found.workers] == [4])
    patient.send_signal(signal.SIGTERM)
    crew.wait_for("its farewell", lambda found: found.workers == ())
    assert end(crew, patient) == 0
    assert crew.snapshot().leases == 4
    assert "told again" in crew.logs()
    crew.sandbox.set_faults(slow_ms=0)
    crew.start_worker()
    crew.wait_for_all(4)
    assert crew.check_books(staged=4)["jobs_created"] == 4
