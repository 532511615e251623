"""Another picture, a cancellation, a pause: asked of a fleet of real workers in the middle of its work."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.fleet.conftest import Fleet
from worker.core.photo import Stage
from worker.ledger.control import Control
from worker.ledger.pausing import Pauses
from worker.ledger.search import find_photos
from worker.ledger.verdicts import CancelVerdict, PauseVerdict, RegenerateVerdict, ResumeVerdict
from worker.services import open_account
from worker.storage.names import latest_name
from worker.storage.store import open_store

Build = Callable[..., Fleet]
OPEN = set(Stage) - {Stage.DONE, Stage.FAILED, Stage.CANCELLED}


def ask(crew: Fleet, question: Callable[[Control, Pauses], Any]) -> Any:
    """Ask something of the fleet's photos, as a command would."""

    async def opened() -> Any:
        async with open_account(crew.settings) as account:
            store = open_store(crew.settings.storage_url)
            return await question(Control(account.ledger, store=store), Pauses(account.ledger))

    return asyncio.run(opened())


def names(listings: list[Any]) -> list[tuple[str, str]]:
    """Return the names of all photos."""
    return [(listing.listing_id, photo.photo_id) for listing in listings for photo in listing.photos]


def latest(crew: Fleet, name: tuple[str, str]) -> dict[str, Any]:
    """Return what the store says is the latest picture of a photo."""
    found: dict[str, Any] = json.loads(crew.stored(latest_name(*name)))
    return found


def staged(crew: Fleet) -> list[dict[str, Any]]:
    """Return the news of staged photos."""
    return [event["data"] for event in crew.events() if event["type"] == "stagecrew.photo.staged.v1"]


def granted(crew: Fleet) -> dict[str, int]:
    """Return how many grants each route has given so far."""
    return {budget.route: budget.granted_total for budget in crew.snapshot().budgets}


def test_every_photo_gets_one_more_picture_whatever_is_killed_and_however_often_it_is_asked_for(fleet: Build) -> None:
    crew = fleet(workers=2, job_min_s=200, job_max_s=300)
    listings = crew.photos(60)
    crew.enqueue(listings)
    crew.wait_for_all(60)
    first = {name: latest(crew, name) for name in names(listings)}
    assert {found["regeneration"] for found in first.values()} == {0}

    creates = granted(crew)["generations"]
    answers = ask(crew, lambda control, _: control.regenerate(names(listings), number=1))
    assert {answer.verdict for answer in answers} == {RegenerateVerdict.ASKED}
    looks, kills = 0, 0

    def strike() -> None:
        nonlocal looks, kills
        looks += 1
        if looks in {1, 4, 7, 10}:
            crew.kill(crew.workers[kills % 2])
            crew.start_worker()
            kills += 1
        again = ask(crew, lambda control, _: control.regenerate(names(listings), number=1))
        assert {answer.verdict for answer in again} <= {RegenerateVerdict.ON_ITS_WAY, RegenerateVerdict.THERE}

    crew.wait_for("the second pictures", lambda snapshot: snapshot.stages == {Stage.DONE: 60}, strike)
    assert kills == 4
    books = crew.sandbox.books()
    assert books["jobs_created"] == 120
    assert books["conflicts"] == 0
    parents = Counter(job["parent"] for job in books["jobs"])
    assert parents.pop(None) == 60
    assert set(parents.values()) == {1}, "no picture was bought twice"
    for name in names(listings):
        now = latest(crew, name)
        manifest = json.loads(crew.stored(now["manifest"]))
        assert (now["regeneration"], now["revision"]) == (1, 2)
        assert now["parent_job_id"] == manifest["parent_job_id"] == first[name]["job_id"]
        assert now["job_id"] == manifest["job_id"] != first[name]["job_id"]
        assert manifest["source_sha256"] == json.loads(crew.stored(first[name]["manifest"]))["source_sha256"]
        for output in (*manifest["outputs"], *first[name]["outputs"]):
            assert len(crew.stored(output["name"])) == output["size_bytes"], "the first picture is still there"
    told = staged(crew)
    assert Counter(data["regeneration"] for data in told) == {0: 60, 1: 60}
    assert all((data["parent_job_id"] is None) == (data["regeneration"] == 0) for data in told)
    events = crew.events()
    assert len({event["id"] for event in events}) == len(events)
    snapshot = crew.snapshot()
    assert (snapshot.slots_used, snapshot.leases) == (0, 0)
    assert granted(crew)["generations"] == creates, "another picture takes its grants from a budget of its own"
    assert granted(crew)["regenerate"] >= 60


def calls_for_photos(crew: Fleet) -> dict[str, int]:
    """Return the calls that photos cost; the fleet reads its usage by itself, once a minute."""
    return {route: count for route, count in crew.sandbox.books()["accepted"].items() if route != "usage"}


def test_a_picture_that_was_paid_for_is_found_by_its_receipt_when_redis_is_lost(fleet: Build) -> None:
    crew = fleet(workers=1, job_min_s=60, job_max_s=70)
    listings = crew.photos(6)
    crew.enqueue(listings)
    crew.wait_for_all(6)
    ask(crew, lambda control, _: control.regenerate(names(listings)))
    crew.wait_for("six jobs", lambda snapshot: snapshot.stages.get(Stage.GENERATING, 0) == 6)
    crew._ask(lambda ledger: ledger._redis.flushall())
    answers = ask(crew, lambda control, _: control.regenerate(names(listings)))
    assert {(answer.verdict, answer.number) for answer in answers} == {(RegenerateVerdict.ASKED, 1)}
    crew.wait_for("the second pictures", lambda snapshot: snapshot.stages == {Stage.DONE: 6})
    assert crew.sandbox.books()["jobs_created"] == 12

    # Another life: whoever enqueues the photos again finds the latest pictures, under the news' old ids.
    calls, before = calls_for_photos(crew), {event["id"] for event in crew.events() if "photo" in event["type"]}
    crew._ask(lambda ledger: ledger._redis.flushall())
    crew.enqueue(listings)
    crew.wait_for_all(6)
    assert calls_for_photos(crew) == calls
    assert {data["regeneration"] for data in staged(crew)} == {1}
    assert {event["id"] for event in crew.events() if "photo" in event["type"]} <= before


def test_cancelled_photos_are_withdrawn_or_dropped_and_nothing_is_bought_after_the_answer(fleet: Build) -> None:
    crew = fleet(workers=2, job_min_s=100, job_max_s=110)
    crew.environ["STAGECREW_LIMITS__IN_FLIGHT"] = "8"
    for worker in list(crew.workers):
        crew.kill(worker)
        crew.start_worker()
    listings = crew.photos(40)
    crew.enqueue(listings)
    crew.wait_for("full slots", lambda snapshot: snapshot.stages.get(Stage.GENERATING, 0) == 8)
    answers = ask(crew, lambda control, _: control.cancel(names(listings), keep=False))
    verdicts = Counter(answer.verdict for answer in answers)
    assert set(verdicts) == {CancelVerdict.WITHDRAWN, CancelVerdict.DROPPED}
    paid = verdicts[CancelVerdict.DROPPED]
    assert crew.snapshot().slots_used == paid, "their jobs run on"
    crew.wait_for_all(40)
    assert crew.sandbox.books()["jobs_created"] == paid
    cancelled = [event["data"] for event in crew.events() if event["type"] == "stagecrew.photo.cancelled.v1"]
    assert Counter(data["paid"] for data in cancelled) == {True: paid, False: 40 - paid}
    assert not list((crew.folder / "output").rglob("manifest.json")), "nothing was stored"
    snapshot = crew.snapshot()
    assert (snapshot.stages, snapshot.slots_used, snapshot.leases) == ({Stage.CANCELLED: 40}, 0, 0)

    crew.enqueue(listings)
    crew.wait_for("all of them after all", lambda snapshot: snapshot.stages == {Stage.DONE: 40})
    assert crew.check_books(staged=40)["jobs_created"] == 40, "what was paid for was not bought again"


def test_a_paused_partner_and_listing_wait_while_the_others_are_staged_and_go_on_when_resumed(fleet: Build) -> None:
    crew = fleet(workers=2)
    listings = crew.photos(60)
    crew.environ["STAGECREW_LIMITS__IN_FLIGHT"] = "10"
    for worker in list(crew.workers):
        crew.kill(worker)
        crew.start_worker()
    crew.enqueue(listings)
    crew.wait_for("jobs", lambda snapshot: snapshot.stages.get(Stage.GENERATING, 0) == 10)
    last = next(listing for listing in reversed(listings) if listing.partner == "partner-1")

    async def halt(_: Control, pauses: Pauses) -> Any:
        await pauses.pause_partner("partner-0", reason="their card was refused")
        return await pauses.pause_listing(last.listing_id, reason="sold")

    parked = ask(crew, halt)
    jobs = partners_of(crew)["partner-0"]
    waiting = sum(answer.verdict is PauseVerdict.PARKED for answer in parked)
    held = 20 - jobs + waiting
    crew.wait_for("the others", lambda snapshot: snapshot.stages.get(Stage.DONE, 0) == 60 - held)
    assert partners_of(crew)["partner-0"] == jobs, "no job of a paused partner was bought after the answer"
    snapshot = crew.snapshot()
    assert [str(pause) for pause in snapshot.pauses] == ["partner partner-0 is paused: their card was refused"]
    assert snapshot.stages.get(Stage.PARKED, 0) == waiting
    assert snapshot.slots_used == 0

    async def release(_: Control, pauses: Pauses) -> Any:
        await pauses.resume_partner("partner-0")
        return await pauses.resume_listing(last.listing_id)

    resumed = ask(crew, release)
    assert sum(answer.verdict is ResumeVerdict.RESUMED for answer in resumed) >= waiting
    crew.wait_for_all(60)
    assert crew.check_books(staged=60)["jobs_created"] == 60


def partners_of(crew: Fleet) -> Counter[str]:
    """Return how many jobs were bought for whom."""
    return Counter(job["metadata"]["partner"] for job in crew.sandbox.books()["jobs"])


def test_all_open_photos_of_a_partner_are_found_while_workers_move_them(fleet: Build) -> None:
    crew = fleet(workers=1)
    listings = crew.photos(60)
    crew.enqueue(listings)
    crew.wait_for("work", lambda snapshot: snapshot.stages.get(Stage.GENERATING, 0) > 5)

    async def cancel_partner(control: Control, _: Pauses) -> Any:
        found = find_photos(control._ledger, stages=OPEN, partner="partner-2")
        return await control.cancel([name async for name, _ in found])

    answers = ask(crew, cancel_partner)
    withdrawn = sum(answer.verdict is CancelVerdict.WITHDRAWN for answer in answers)
    crew.wait_for_all(60)
    assert crew.sandbox.books()["jobs_created"] == 60 - withdrawn
    stages = crew.snapshot().stages
    assert stages == {stage: n for stage, n in {Stage.DONE: 60 - withdrawn, Stage.CANCELLED: withdrawn}.items() if n}
