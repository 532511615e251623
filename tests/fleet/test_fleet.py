"""The main job by real processes: every photo stored and announced once, whatever reading the API takes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from tests.fleet.conftest import Fleet
from worker.core.photo import Stage
from worker.ledger.snapshot import Verdict
from worker.sandbox.config import READINGS

Build = Callable[..., Fleet]


def test_two_workers_stage_two_hundred_photos_within_every_limit(fleet: Build) -> None:
    crew = fleet(workers=2, speed=10.0)
    crew.enqueue(crew.photos(200))
    crew.wait_for_all(200)
    books = crew.check_books(staged=200)
    assert books["jobs_created"] == 200
    assert books["refused"] == {}, "not one call was refused"
    assert books["peak_in_flight"] == 50, "the slots were full"
    assert sum(event["type"] == "stagecrew.listing.completed.v1" for event in crew.events()) == 40


@pytest.mark.parametrize("reading", sorted(READINGS))
def test_the_main_job_is_done_under_every_reading_of_the_contract(fleet: Build, reading: str) -> None:
    crew = fleet(readings=READINGS[reading], in_flight=4, url_life_s=3600)
    crew.environ["STAGECREW_LIMITS__IN_FLIGHT"] = "6"  # the API allows fewer than we were told
    crew.start_worker()
    crew.enqueue(crew.photos(12, include_alternates=True))
    crew.wait_for_all(12)
    books = crew.check_books(staged=12)
    assert books["jobs_created"] == 12
    assert books["peak_in_flight"] == 4
    roles = {
        output["role"] for event in crew.events() if "outputs" in event["data"] for output in event["data"]["outputs"]
    }
    assert roles == {"primary", "alternate"}


def test_a_photo_that_an_earlier_life_staged_costs_no_call(fleet: Build) -> None:
    crew = fleet(workers=1)
    listings = crew.photos(10)
    crew.enqueue(listings)
    crew.wait_for_all(10)
    calls, first = _calls(crew), {event["id"] for event in crew.events()}
    crew._ask(lambda ledger: ledger._redis.flushall())
    assert {answer.verdict for answer in crew.enqueue(listings)} == {Verdict.ACCEPTED}
    crew.wait_for_all(10)
    assert _calls(crew) == calls
    assert {event["id"] for event in crew.events()} == first, "announced again, under the same ids"


def test_a_paid_job_is_found_by_its_receipt_when_redis_is_lost(fleet: Build) -> None:
    crew = fleet(workers=1, job_min_s=150, job_max_s=160)
    listings = crew.photos(10)
    crew.enqueue(listings)
    crew.wait_for("ten jobs", lambda snapshot: snapshot.stages.get(Stage.GENERATING, 0) == 10)
    crew._ask(lambda ledger: ledger._redis.flushall())
    crew.enqueue(listings)
    crew.wait_for_all(10)
    assert crew.check_books(staged=10)["jobs_created"] == 10


def test_under_faults_every_photo_is_staged_or_failed_with_the_apis_reason(fleet: Build) -> None:
    from worker.sandbox.config import Faults

    faults = Faults(errors_500=0.05, lost_responses=0.05, truncated_downloads=0.02, expired_urls=0.05, failed_jobs=0.1)
    crew = fleet(workers=2, faults=faults)
    crew.enqueue(crew.photos(150))
    crew.wait_for_all(150)
    failed = crew.held(Stage.FAILED)
    books = crew.check_books(staged=150 - len(failed))
    assert books["jobs_created"] == 150
    assert {view.error_code for view in failed} == {"quality_rejected"}
    assert len(failed) == sum(job["fails"] for job in books["jobs"]) > 0
    assert books["replays"] > 0
    assert books["faults"].keys() >= {"errors_500", "lost_responses", "expired_urls"}


def test_bad_sources_fail_with_a_clear_reason_and_touch_nothing_else(fleet: Build) -> None:
    crew = fleet(workers=1, max_source_bytes=40_000_000)
    crew.environ["STAGECREW_MAX_SOURCE_BYTES"] = "200000"
    crew.kill(crew.workers[0])
    crew.start_worker()
    listings = crew.photos(8)
    sources = crew.folder / "sources"
    (sources / "1.jpg").write_text("<html>not found</html>")
    (sources / "3.jpg").write_bytes(b"\xff\xd8\xff" + b"0" * 300_000)
    (sources / "5.jpg").unlink()
    (sources / "6.jpg").write_bytes(b"\xff\xd8\xff broken jpeg \xff\xd9")
    crew.enqueue(listings)
    crew.wait_for_all(8)
    crew.check_books(staged=4)
    reasons = {view.photo_id: view.error_message or "" for view in crew.held(Stage.FAILED)}
    assert "HTML" in reasons["photo 1"]
    assert "larger than" in reasons["photo 3"]
    assert "there is no file" in reasons["photo 5"]
    assert "not an image" in reasons["photo 6"], "the API's own words"


def test_a_worker_that_is_told_to_end_finishes_its_steps_and_leaves_the_rest_to_others(fleet: Build) -> None:
    crew = fleet(workers=2)
    crew.enqueue(crew.photos(60))
    crew.wait_for("jobs", lambda snapshot: snapshot.stages.get(Stage.GENERATING, 0) > 20)
    leader = crew.workers.pop(0)
    leader.send_signal(signal.SIGTERM)
    assert leader.wait(60) == 0
    crew.wait_for_all(60)
    assert crew.check_books(staged=60)["jobs_created"] == 60


def test_a_worker_stopped_for_longer_than_its_leases_does_nothing_with_what_is_no_longer_its_own(fleet: Build) -> None:
    crew = fleet(workers=1)
    crew.enqueue(crew.photos(60))
    crew.wait_for("work", lambda snapshot: snapshot.stages.get(Stage.GENERATING, 0) > 10)
    zombie = crew.workers[0]
    os.kill(zombie.pid, signal.SIGSTOP)
    crew.start_worker()
    crew.wait_for("the other one's lead", lambda snapshot: (snapshot.leader or "").startswith("w2"))
    crew.wait_for("progress without it", lambda snapshot: snapshot.stages.get(Stage.DONE, 0) > 5)
    os.kill(zombie.pid, signal.SIGCONT)
    crew.wait_for_all(60)
    assert crew.check_books(staged=60)["jobs_created"] == 60


def test_no_secret_is_in_anything_that_workers_write(fleet: Build) -> None:
    crew = fleet(workers=1)
    crew.environ["STAGECREW_LOG_LEVEL"] = "DEBUG"
    crew.kill(crew.workers[0])
    crew.start_worker()
    crew.enqueue(crew.photos(5))
    crew.wait_for_all(5)
    written = crew.logs() + str(crew.events()) + "".join(p.read_text() for p in crew.folder.rglob("*.json"))
    assert crew.sandbox.api_key.partition(".")[2] not in written
    assert "signature=" not in written


def test_a_revoked_key_pauses_the_account_and_fails_no_photo(fleet: Build) -> None:
    crew = fleet(workers=0)
    right = crew.environ["KATALO_API_KEY"]
    crew.environ["KATALO_API_KEY"] = "kat_live_revoked.key"
    worker = crew.start_worker()
    crew.enqueue(crew.photos(6))
    crew.wait_for("the pause", lambda snapshot: snapshot.paused_reason is not None)
    assert "401" in (crew.snapshot().paused_reason or "")
    assert crew.snapshot().stages == {Stage.ACCEPTED: 6}
    crew.kill(worker)
    crew.environ["KATALO_API_KEY"] = right
    crew.start_worker()
    crew.wait_for_all(6)
    crew.check_books(staged=6)


def test_a_job_that_takes_too_long_is_reported_and_read_on_to_its_end(fleet: Build) -> None:
    crew = fleet(workers=0, job_min_s=200, job_max_s=210)
    crew.environ["STAGECREW_JOB_DEADLINE_S"] = "60"
    crew.start_worker()
    [listing] = crew.photos(1)
    crew.enqueue([listing])
    told = set()

    def note() -> None:
        told.update(view.error_code for view in crew._ask(lambda ledger: ledger.listing(listing.listing_id)))

    crew.wait_for_all(1, note)
    assert "job_late" in told
    crew.check_books(staged=1)
    [view] = crew._ask(lambda ledger: ledger.listing(listing.listing_id))
    assert view.error_code is None, "it is not late any more"


def _calls(crew: Fleet) -> dict[str, int]:
    """Return the calls so far, but for the fleet's own reads of its usage."""
    return {route: count for route, count in crew.sandbox.books()["accepted"].items() if route != "usage"}
