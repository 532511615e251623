"""Takes messages from the outbox to the sinks. It runs in every worker process; for each sink one of them delivers.

Which one is a lease in Redis of a few seconds, taken and renewed by the same script that gives it messages: when it
dies, another goes on within that time, and every message it had not settled is sent again. Messages of many listings
are on their way at once, those of one listing one after the other. How long a message or a sink waits after a failure
is in Redis too, so a death does not shorten it. A sink that hangs or fails holds up no other: each has a loop of its
own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError

from worker.core.delivery import Outcome, Word, retry, settlement
from worker.ledger.outbox import PUMP_MARK, Claim, Letter, Outbox
from worker.sinks.opening import open_sinks
from worker.sinks.sink import DEADLINE_S, Sink

if TYPE_CHECKING:
    from config.settings import Settings

logger = logging.getLogger(__name__)

#: How long a sink's lease lasts: within it another process takes over from one that died.
LEASE_MS: Final = 5_000
#: How often it is renewed at least, in seconds, and the longest sleep of those who do not hold it.
RENEW_S: Final = 1.5
#: The pause after trouble with Redis, in seconds.
TROUBLE_S: Final = 0.5
#: How often settling is tried when Redis is away; after that the messages are sent again, with the same ids.
SETTLE_TRIES: Final = 5
#: How long a process that ends waits for what is on its way, in seconds.
FINISH_S: Final = 5.0
#: How much longer than a sink's own deadline a call may take before it is given up.
SPARE_S: Final = 5.0


class Pump:
    """The deliveries of one process to one sink."""

    def __init__(self, outbox: Outbox, sink: Sink, *, name: str, jitter: Callable[[], float] = random.random) -> None:
        """`name`: the worker's; the pump's own is unlike any other's, also that of an earlier life of the worker."""
        self._outbox = outbox
        self._sink = sink
        self._name = f"{name}{PUMP_MARK}{uuid.uuid4().hex[:8]}"
        self._jitter = jitter
        self._woken = asyncio.Event()
        self._draining = False
        self._busy: dict[str, asyncio.Task[None]] = {}

    def drain(self) -> None:
        """Begin no new delivery; `run` returns when those on their way have ended."""
        self._draining = True
        self._woken.set()

    async def run(self) -> None:
        """Deliver whenever nobody else does, until draining."""
        listener: asyncio.Task[None] | None = None
        try:
            while not self._draining:
                self._woken.clear()
                try:
                    claim = await self._outbox.claim(
                        self._sink.name, self._name, lease_ms=LEASE_MS, room=self._room(), busy=tuple(self._busy)
                    )
                except RedisError as error:
                    logger.warning("nothing claimed", extra={"sink": self._sink.name, "reason": type(error).__name__})
                    await asyncio.sleep(TROUBLE_S)
                    continue
                if claim.leads:
                    listener = listener or asyncio.create_task(self._listen(), name=f"news {self._sink.name}")
                    self._start(claim)
                else:
                    _end(listener)
                    listener = None
                    # Somebody else sends them now.
                    for task in self._busy.values():
                        task.cancel()
                await self._woken_within(RENEW_S if claim.wait_ms is None else min(RENEW_S, claim.wait_ms / 1000))
        finally:
            _end(listener)
            await self._finish()

    def _room(self) -> int:
        running = len(set(self._busy.values()))
        return max(0, self._sink.calls - running) * self._sink.batch

    def _start(self, claim: Claim) -> None:
        for at in range(0, len(claim.letters), self._sink.batch):
            some = claim.letters[at : at + self._sink.batch]
            task = asyncio.create_task(self._deliver(some, claim.times_down), name=f"deliver {self._sink.name}")
            self._busy |= dict.fromkeys((letter.listing for letter in some), task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._busy = {listing: running for listing, running in self._busy.items() if running is not task}
        self._woken.set()

    async def _deliver(self, letters: Sequence[Letter], times_down: int) -> None:
        outcomes = await self._send(letters)
        settled = [
            (letter, settlement(outcome, tries=letter.tries, times_down=times_down, jitter=self._jitter()))
            for letter, outcome in zip(letters, outcomes, strict=True)
        ]
        for letter, what in settled:
            if what.word is Word.DEAD:
                logger.error(
                    "message given up",
                    # Not `event`: that is what the log's own line says.
                    extra={
                        "sink": self._sink.name,
                        "message_id": letter.event_id,
                        "type": letter.event_type,
                        "reason": what.reason,
                    },
                )
        if troubles := {what.reason for _, what in settled if what.word in {Word.DOWN, Word.RETRY}}:
            logger.warning("messages not delivered", extra={"sink": self._sink.name, "reasons": sorted(troubles)})
        for tries in range(SETTLE_TRIES):
            try:
                await self._outbox.settle(self._sink.name, settled)
            except RedisError as error:
                logger.warning(
                    "deliveries not settled yet", extra={"sink": self._sink.name, "reason": type(error).__name__}
                )
                await asyncio.sleep(0.2 * 2**tries)
            else:
                return

    async def _send(self, letters: Sequence[Letter]) -> list[Outcome]:
        try:
            async with asyncio.timeout(DEADLINE_S + SPARE_S):
                return await self._sink.send(letters)
        except TimeoutError:
            return [retry(f"no answer within {DEADLINE_S + SPARE_S:.0f} s")] * len(letters)
        except Exception:
            # A defect of ours must not lose a message, nor the loop.
            logger.exception("a sink failed unexpectedly", extra={"sink": self._sink.name})
            return [retry("stagecrew failed unexpectedly; see the workers' logs")] * len(letters)

    async def _listen(self) -> None:
        """Wake the loop when something was put into the outbox."""
        while True:
            try:
                if await self._outbox.news(self._sink.name, within_s=RENEW_S):
                    self._woken.set()
            except RedisError:
                await asyncio.sleep(TROUBLE_S)

    async def _woken_within(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()

    async def _finish(self) -> None:
        """Wait for what is on its way, and let another process go on at once."""
        running = set(self._busy.values())
        if running:
            _, running = await asyncio.wait(running, timeout=FINISH_S)
        for task in running:
            task.cancel()
        with contextlib.suppress(RedisError):
            await self._outbox.release(self._sink.name, self._name)


class Pumps:
    """The pumps of one process and account, one a sink."""

    def __init__(self, outbox: Outbox, sinks: Sequence[Sink], *, name: str) -> None:
        """`name`: the worker's."""
        self._pumps = [Pump(outbox, sink, name=name) for sink in sinks]

    def drain(self) -> None:
        """Begin no new delivery."""
        for pump in self._pumps:
            pump.drain()

    async def run(self) -> None:
        """Deliver until draining."""
        async with asyncio.TaskGroup() as group:
            for pump in self._pumps:
                group.create_task(pump.run())


@contextlib.asynccontextmanager
async def open_pumps(settings: Settings, outbox: Outbox, *, name: str) -> AsyncIterator[Pumps]:
    """Open the sinks of the settings that have an outbox, and their pumps; `name` is the worker's."""
    async with open_sinks(settings) as sinks:
        yield Pumps(outbox, sinks, name=name)


def _end(listener: asyncio.Task[None] | None) -> None:
    if listener is not None:
        listener.cancel()
