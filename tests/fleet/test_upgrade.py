"""An upgrade in the middle of the work: this release takes over what the previous one left, and buys nothing twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fleet.conftest import Fleet
from tests.receiver import received, running_receiver
from tests.releases.midrun import unpacked_midrun
from tests.releases.write_snapshot import SECRET
from worker.core.photo import NewListing, NewPhoto, Stage
from worker.core.request import canonical_request
from worker.storage.manifest import Manifest, each_kept
from worker.storage.store import open_store

Build = Callable[..., Fleet]

#: What the snapshot holds: photos by stage, and jobs that were bought.
LEFT = {
    Stage.DONE: 3,
    Stage.FAILED: 1,
    Stage.CANCELLED: 1,
    Stage.STORING: 1,
    Stage.GENERATING: 3,
    Stage.CREATING: 2,
    Stage.UNCERTAIN: 1,
    Stage.INGESTED: 2,
    Stage.INGESTING: 2,
    Stage.PARKED: 1,
    Stage.ACCEPTED: 4,
}
BOUGHT = 10
PHOTOS = sum(LEFT.values())
STAGED = PHOTOS - 2


def test_what_the_previous_release_left_in_every_stage_is_brought_to_its_end_once(
    fleet: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = unpacked_midrun(tmp_path)
    # The sources' names are relative to where the workers run.
    monkeypatch.chdir(tmp_path)
    crew = fleet(workers=0, state=str(left.sandbox_state()), url_life_s=36_000, job_min_s=10, job_max_s=20)
    left.into_redis(crew.redis.url, sandbox=crew.sandbox.base_url)
    found = crew.snapshot()
    assert {stage: count for stage, count in found.stages.items() if count} == LEFT
    assert crew.sandbox.books()["jobs_created"] == BOUGHT
    with running_receiver(tmp_path / "received.jsonl", SECRET) as port:
        crew.environ["STAGECREW_COMPLETIONS_URL"] = (
            f"redis+stream://stagecrew.completions http://127.0.0.1:{port}/hook#receiver"
        )
        crew.environ["STAGECREW_COMPLETIONS_SECRET"] = SECRET
        crew.environ["STAGECREW_LIMITS__IN_FLIGHT"] = "8"
        crew.start_worker()
        for asked in (["--partner", "held-partner"], ["waiting/photo 2"]):
            assert crew.stagecrew("resume", *asked).returncode == 0
        crew.wait_for("all photos' ends", lambda found: found.stages.get(Stage.DONE, 0) == STAGED)
        crew.wait_for("their messages", lambda found: sum(sink.waiting for sink in found.sinks) == 0)
        sent = received(tmp_path / "received.jsonl")
    books = crew.check_books(staged=STAGED)
    # Held, waiting, ready and taken photos had no job yet; all others kept theirs.
    assert books["jobs_created"] == STAGED
    assert crew.snapshot().stages[Stage.FAILED] == crew.snapshot().stages[Stage.CANCELLED] == 1
    events = Counter(event["id"] for event in crew.events())
    assert set(events.values()) == {1}
    assert {event["id"] for event in sent} == set(events)
    assert Counter(event["type"] for event in crew.events())["stagecrew.listing.completed.v1"] == 9
    kept = asyncio.run(manifests(tmp_path / "output"))
    assert len(kept) == STAGED, "the previous release's manifests are read too"
    # What the previous release staged is found in the store when Redis is lost.
    crew._ask(lambda ledger: ledger._redis.flushall())
    again = [photo_of("done", number) for number in range(3)]
    crew.enqueue([NewListing(listing_id="done", partner="acme", photos=tuple(again), metadata={"run": "0.2.0"})])
    crew.wait_for_all(3)
    assert crew.sandbox.books()["jobs_created"] == STAGED
    assert {event["id"] for event in crew.events() if "photo" in event["type"]} <= set(events)


async def manifests(store: Path) -> list[Manifest]:
    """Return the manifests in a store."""
    return [kept async for kept in each_kept(open_store(store.as_uri())) if isinstance(kept, Manifest)]


def photo_of(listing: str, number: int) -> NewPhoto:
    """Return a photo as the snapshot's program enqueued it."""
    asked = canonical_request(source=f"sources/{listing}-{number}.jpg", mode="refurnish", style_preset="modern")
    return NewPhoto(photo_id=f"photo {number}", request=asked, metadata={"n": str(number)})
