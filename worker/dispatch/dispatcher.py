"""Asks what may be done now and sends the answer out, as long as this process leads; takes over when the leader dies.

It sleeps until the next due time or until it is woken: scripts that change what may be done leave one element in the
list `wake`, on which the leader blocks. A message that gets lost costs a lease, nothing more.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

import worker
from worker.core.photo import StepName
from worker.flow.dispatching import FULL_BATCH, Dispatched, Follow, Orders
from worker.metrics.pulse import Beat

if TYPE_CHECKING:
    from worker.services import Account

logger = logging.getLogger(__name__)

#: Sends batches to the broker: (step, [(key, token, label), ...]). Blocks; raises when the broker does not take it.
Publish = Callable[[StepName, Sequence[tuple[str, str, str]]], None]

#: Photos in one message at most, since more would let one slow photo keep a thread from many; and at least, before
#: they are spread over the workers.
MAX_BATCH: Final = FULL_BATCH
LEAST_SPREAD: Final = 16
#: Steps gather for so long for each photo at work, and for so long at most, in seconds.
GATHERING_S: Final = 0.002
MOST_GATHERING_S: Final = 0.1
#: How often a worker says that it lives, and the longest sleep of a follower, in seconds.
BEAT_S: Final = 1.0
#: The pause after trouble with Redis or the broker, in seconds.
TROUBLE_S: Final = 0.5


class Dispatcher:
    """The loop of one process."""

    def __init__(
        self,
        account: Account,
        *,
        name: str,
        hands: int,
        busy: Callable[[], int],
        publish: Publish,
        beat: Beat | None = None,
    ) -> None:
        """`hands`: photos that this process can work on at once; `busy`: how many now; `beat` notes its heartbeats."""
        self._beat = beat or Beat()
        self._account = account
        self._name = name
        self._hands = hands
        self._busy = busy
        self._publish = publish
        self._draining = asyncio.Event()
        self._sleeping: asyncio.Future[Any] | None = None

    def drain(self) -> None:
        """Take no new work and let somebody else lead, at once."""
        self._draining.set()
        self._beat.draining = True
        if self._sleeping is not None:
            self._sleeping.cancel()

    async def beat_for_ever(self) -> None:
        """Tell the fleet each second that this process lives; say goodbye when it drains."""
        while not self._draining.is_set():
            await self._tell(self._hands)
            await self._draining_within(BEAT_S)
        await self._tell(0)

    async def _tell(self, hands: int) -> None:
        try:
            await self._account.admission.heartbeat(
                self._name, hands=hands, busy=self._busy(), version=worker.__version__
            )
            self._beat.heard()
        except RedisError as error:
            self._beat.failed()
            logger.warning("heartbeat not sent", extra={"reason": type(error).__name__})

    async def run(self) -> None:
        """Lead whenever nobody else does, until draining; then give the lead up, after the last orders."""
        while not self._draining.is_set():
            try:
                orders = await self._account.dispatching.dispatch(self._name)
                if isinstance(orders, Follow):
                    await self._draining_within(min(BEAT_S, max(orders.ms, 50) / 1000))
                    continue
                await self._send(orders)
                await asyncio.sleep(gathering_s(orders.at_work))
                await self._sleep(orders.again_ms)
            except RedisError as error:
                logger.warning("nothing dispatched", extra={"reason": type(error).__name__})
                await self._draining_within(TROUBLE_S)
        # A look that was under way may have taken the lead again after the first goodbye.
        await self._tell(0)

    async def _send(self, orders: Orders) -> None:
        if not orders.photos:
            return
        try:
            await asyncio.to_thread(self._publish_all, batches(orders.photos, orders.workers))
        except OperationalError as error:
            # It is away or coming up. The leases run out, and the photos are handed out again.
            logger.warning(
                "the broker did not take the orders", extra={"photos": len(orders.photos), "reason": str(error)}
            )
            await self._draining_within(TROUBLE_S)
        except Exception:
            logger.exception("the broker did not take the orders", extra={"photos": len(orders.photos)})
            await self._draining_within(TROUBLE_S)

    def _publish_all(self, orders: Sequence[tuple[StepName, list[Dispatched]]]) -> None:
        for step, photos in orders:
            self._publish(step, [(photo.key, photo.token, photo.label) for photo in photos])

    async def _sleep(self, longest_ms: int) -> None:
        woken = self._account.redis.blpop([f"{self._account.scripts.root}wake"], timeout=longest_ms / 1000)
        self._sleeping = sleeping = asyncio.ensure_future(woken)
        try:
            await sleeping
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._draining.is_set() or (task is not None and task.cancelling()):
                raise
        finally:
            self._sleeping = None

    async def _draining_within(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._draining.wait()
        except TimeoutError:
            return


def gathering_s(at_work: int) -> float:
    """Return how long the leader lets steps gather before it looks again, in seconds.

    A message costs the same for one photo and for sixteen. The more photos are at work, the sooner a batch is full; one
    photo alone is not kept waiting.
    """
    return min(MOST_GATHERING_S, at_work * GATHERING_S)


def batches(photos: Sequence[Dispatched], workers: int) -> list[tuple[StepName, list[Dispatched]]]:
    """Return the photos as messages: by step, spread over the live workers once there are enough for all."""
    by_step: dict[StepName, list[Dispatched]] = defaultdict(list)
    for photo in photos:
        by_step[photo.step].append(photo)
    messages = []
    for step, some in by_step.items():
        size = min(MAX_BATCH, max(LEAST_SPREAD, math.ceil(len(some) / max(1, workers))))
        messages += [(step, some[i : i + size]) for i in range(0, len(some), size)]
    return messages
