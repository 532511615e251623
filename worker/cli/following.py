"""Follows a run to its end: news from the stream and the ledger, the display, and the workers' health."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

from redis.exceptions import RedisError

from worker.cli.progress import Display, Meter

if TYPE_CHECKING:
    from worker.cli.doors import LedgerPort
    from worker.cli.journal import Journal
    from worker.cli.tracker import Tracker
    from worker.ledger.snapshot import Snapshot

#: Between two looks at the ledger, in seconds: a look costs it a few reads.
LOOK_EVERY_S: Final = 0.5
#: Rows are read this often, in looks: for held photos, which send no message, and for messages that were missed.
ROWS_EVERY: Final = 4
LISTINGS_AT_ONCE: Final = 50
#: A Redis that is away for longer ends the run.
REDIS_AWAY_S: Final = 60.0
#: An account that is paused for longer (a revoked key, a person's pause) ends the run if nothing else goes on.
PAUSED_S: Final = 45.0


class Ending(StrEnum):
    """Why following ended."""

    ALL_ENDED = "all_ended"
    PAUSED = "paused"
    INTERRUPTED = "interrupted"


class CrewPort(Protocol):
    """What following needs of the workers; `worker.cli.crew.Crew` is it."""

    def check(self) -> list[str]:
        """Start dead workers again and return a line about each."""


async def follow(
    ledger: LedgerPort,
    *,
    tracker: Tracker,
    journal: Journal,
    display: Display,
    crew: CrewPort,
    interrupted: asyncio.Event,
    now_s: Callable[[], float] = time.monotonic,
    pause: Callable[[asyncio.Event], Awaitable[None]] | None = None,
) -> Ending:
    """Return when every photo of the run has ended or is held, or when nothing can go on.

    `now_s` and `pause` (waits between two looks, not beyond an interruption) are the seams for tests.
    Raises RedisError when Redis stays away, CrewTrouble when workers keep dying.
    """
    meter, begun_s = Meter(), now_s()
    snapshot: Snapshot | None = None
    redis_seen_s, moving_s, open_before, looks = begun_s, begun_s, -1, 0
    while True:
        for line in crew.check():
            display.tell(line)
        try:
            await journal.copy(ledger, tracker)
            if looks % ROWS_EVERY == 0:
                for listing_id in tracker.to_look_at(LISTINGS_AT_ONCE):
                    tracker.rows(await ledger.listing(listing_id))
            snapshot = await ledger.snapshot()
            redis_seen_s = now_s()
        except (RedisError, OSError):
            if now_s() - redis_seen_s > REDIS_AWAY_S:
                raise
        looks += 1
        over = tracker.open == 0 or interrupted.is_set()
        display.show(meter.picture(tracker, snapshot, now_s() - begun_s), last=over)
        if over:
            return Ending.ALL_ENDED if tracker.open == 0 else Ending.INTERRUPTED
        if tracker.open != open_before or not (snapshot and snapshot.halted):
            open_before, moving_s = tracker.open, now_s()
        elif now_s() - moving_s > PAUSED_S:
            return Ending.PAUSED
        await (pause or _pause)(interrupted)


async def _pause(interrupted: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(LOOK_EVERY_S):
            await interrupted.wait()
    except TimeoutError:
        pass
