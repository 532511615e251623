"""stagecrew itself as a contender: real worker processes, a real Redis, its own settings but for the sandbox's."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from functools import partial

from bench.contenders.contender import Look, Spent
from bench.contenders.fleet import Fleet, listing, running_fleet, stream_times
from bench.meter import Meter
from bench.work import Work
from worker.core.events import STAGED
from worker.core.photo import NewListing, Stage
from worker.ledger.snapshot import Snapshot
from worker.services import Account


class Stagecrew:
    """The contender."""

    name = "stagecrew"
    title = "stagecrew"

    def run(self, work: Work, look: Look) -> Spent:
        """Start a fleet, enqueue, wait for the last completion. Raises RunFailed."""
        with running_fleet(work) as fleet:
            meter, began_s = Meter(fleet.pids), time.monotonic()
            begun_ms = _one_by_one(fleet, look) if work.one_by_one else _all_at_once(fleet, look)
            seconds, usage = time.monotonic() - began_s, meter.read()
            done_ms = fleet.ask(completed)
        return Spent(seconds=seconds, completed=len(done_ms), usage=usage, begun_ms=begun_ms, done_ms=done_ms)


def _all_at_once(fleet: Fleet, look: Look) -> dict[str, float]:
    begun_ms = time.time() * 1000
    fleet.ask(lambda account: account.ledger.enqueue([listing(fleet.work)]))
    fleet.wait("all photos done", partial(_done, fleet.work.photos), look)
    return {str(number): begun_ms for number in range(fleet.work.photos)}


def _one_by_one(fleet: Fleet, look: Look) -> dict[str, float]:
    begun_ms = {}
    for number in range(fleet.work.photos):
        one = listing(replace(fleet.work, photos=number + 1), listing_id=f"bench-{number}", first=number)
        begun_ms[str(number)] = fleet.ask(partial(_enqueue_now, one=one))
        fleet.wait(f"photo {number} done", partial(_done, number + 1), look)
    return begun_ms


def _done(photos: int, now: Snapshot) -> bool:
    return now.stages.get(Stage.DONE, 0) == photos


async def _enqueue_now(account: Account, one: NewListing) -> float:
    # The connection is opened first: whoever enqueues has one.
    await account.redis.ping()
    begun_ms = time.time() * 1000
    await account.ledger.enqueue([one])
    return begun_ms


async def completed(account: Account) -> dict[str, float]:
    """Return when each photo's completion message came, by photo id, in ms of Redis's clock."""
    found: dict[str, float] = {}
    last = "0"
    while entries := await account.ledger.completions(last):
        last = entries[-1][0]
        for came_ms, text in stream_times(entries):
            event = json.loads(text)
            if event["type"] == STAGED:
                found[event["data"]["photo_id"]] = came_ms
    return found
