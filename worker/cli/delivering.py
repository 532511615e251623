"""The end of a run: its last completion messages reach their sinks before the workers stop, where that is possible."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError

from worker.cli.terminal import count

if TYPE_CHECKING:
    from worker.cli.doors import LedgerPort
    from worker.ledger.snapshot import SinkView

#: A sink that works has taken everything long before that.
PATIENCE_S: Final = 15.0
LOOK_EVERY_S: Final = 0.2


async def deliver_rest(
    ledger: LedgerPort,
    interrupted: asyncio.Event,
    *,
    now_s: Callable[[], float] = time.monotonic,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> list[str]:
    """Wait until no sink that works has messages waiting; return a line about each that still has.

    `now_s` and `pause` are the seams for tests.
    """
    begun_s = now_s()
    while True:
        try:
            waiting = [sink for sink in (await ledger.snapshot()).sinks if sink.configured and sink.waiting]
        except RedisError:
            return []
        late = interrupted.is_set() or now_s() - begun_s > PATIENCE_S
        if late or all(_stuck(sink) for sink in waiting):
            return [_line(sink) for sink in waiting]
        await pause(LOOK_EVERY_S)


def _stuck(sink: SinkView) -> bool:
    return sink.times_down > 0 or sink.failing == sink.listings


def _line(sink: SinkView) -> str:
    why = f" ({sink.reason})" if sink.reason else ""
    return f"{count(sink.waiting, 'message')} still to be delivered to {sink.name}{why}; the next run goes on with that"
