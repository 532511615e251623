"""One account's part of a worker process: its services, batches, dispatcher and deliveries, and the watch on its key.

It fails and recovers by itself: services that do not open are tried again, and a loop that ends is begun again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import structlog
from redis.exceptions import RedisError

from worker.core.photo import StepName
from worker.dispatch.dispatcher import Dispatcher, Publish
from worker.metrics.pulse import Beat
from worker.pipeline.batch import Batches
from worker.pipeline.upkeep import Upkeep
from worker.services import Services, open_services
from worker.sinks.pump import Pumps, open_pumps

if TYPE_CHECKING:
    from config.rotation import LiveAccounts
    from config.settings import Settings
    from worker.metrics.meters import Meters
    from worker.metrics.pulse import Pulse

logger = logging.getLogger(__name__)

#: How often the files that hold keys are looked at, in seconds.
WATCH_S: Final = 2.0
#: The pause before services that did not open, or a loop that ended, are tried again, in seconds.
AGAIN_S: Final = 5.0
#: The pause before a loop that did not end is cancelled again, in seconds.
STUBBORN_S: Final = 0.5


class Serving:
    """Serves one account until it is told to stop."""

    def __init__(
        self,
        settings: Settings,
        *,
        name: str,
        live: LiveAccounts,
        publish: Publish,
        alone: bool,
        meters: Meters,
        pulse: Pulse,
    ) -> None:
        """Open nothing yet. `settings`: the account's; `alone`: it is the only one, and its troubles are all.

        `meters` count what is done, `pulse` is told of the heartbeats.
        """
        self._meters = meters
        self._pulse = pulse
        self.account = settings.origin.account
        self._settings = settings
        self._name = name
        self._live = live
        self._publish = publish
        self._alone = alone
        #: Set when its services have opened, or have not.
        self.tried = asyncio.Event()
        self.trouble: Exception | None = None
        self._batches: Batches | None = None
        self._dispatcher: Dispatcher | None = None
        self._pumps: Pumps | None = None

    @property
    def open(self) -> bool:
        """Whether batches can be run."""
        return self._batches is not None

    def drain(self) -> None:
        """Take no new work and let somebody else lead."""
        if self._batches is not None:
            self._batches.drain()
        if self._dispatcher is not None:
            self._dispatcher.drain()
        if self._pumps is not None:
            self._pumps.drain()

    async def run(self, step: StepName, leases: Sequence[tuple[str, str, str]]) -> dict[str, str]:
        """Run one step for leased photos (key, token, label); return what became of each, by label."""
        self._name_account()
        assert self._batches is not None
        return await self._batches.run(step, leases)

    async def give_back(self, leases: Sequence[tuple[str, str, str]], *, delay_ms: int) -> dict[str, str]:
        """Give leases back that are not for this release; return what became of each, by label."""
        assert self._batches is not None
        return await self._batches.give_back(leases, delay_ms=delay_ms)

    def abandon(self) -> int:
        """Stop the steps that still run, as a crash would; return how many."""
        return self._batches.abandon() if self._batches is not None else 0

    @property
    def busy(self) -> int:
        """How many steps run now."""
        return self._batches.busy if self._batches is not None else 0

    async def live(self, stopping: asyncio.Event) -> None:
        """Serve until `stopping`; an account whose services don't open is tried again, but for an only one."""
        self._name_account()
        while not stopping.is_set():
            try:
                async with (
                    open_services(self._settings, live=self._live, meters=self._meters) as services,
                    open_pumps(self._settings, services.ledger.outbox, name=self._name) as pumps,
                ):
                    await self._serve(services, pumps, stopping)
            except Exception as error:
                self.trouble = error
                if not self._alone:
                    logger.exception("account not served", extra={"account": self.account})
            self._batches = self._dispatcher = self._pumps = None
            self._meters.account(self.account).not_serving()
            self._pulse.leaves(self.account)
            self.tried.set()
            if self._alone:
                return
            await _within(stopping, AGAIN_S)

    async def _serve(self, services: Services, pumps: Pumps, stopping: asyncio.Event) -> None:
        batches = Batches(services, lease_s=self._settings.lease_s)
        beat = Beat()
        dispatcher = Dispatcher(
            services.account,
            name=self._name,
            hands=self._settings.hands,
            busy=lambda: batches.busy,
            publish=self._publish,
            beat=beat,
        )
        upkeep = Upkeep(services, name=self._name, reconcile_days=self._settings.reconcile_days)
        loops: dict[str, Callable[[], Awaitable[None]]] = {
            "renew": batches.renew_for_ever,
            "dispatch": dispatcher.run,
            "heartbeat": dispatcher.beat_for_ever,
            "key": lambda: _watch_key(services),
            "upkeep": upkeep.run,
            "deliver": pumps.run,
        }
        self._batches, self._dispatcher, self._pumps = batches, dispatcher, pumps
        services.meter.serving(hands=self._settings.hands, busy=lambda: batches.busy)
        self._pulse.serves(self.account, beat)
        self.tried.set()
        tasks = [asyncio.create_task(_kept_going(name, loop), name=name) for name, loop in loops.items()]
        await stopping.wait()
        await ended(tasks)

    def _name_account(self) -> None:
        """Let the account stand in everything that is logged from here on, where there are several."""
        if not self._alone:
            structlog.contextvars.bind_contextvars(account=self.account)


async def _watch_key(services: Services) -> None:
    """Take a changed key over within seconds."""
    while True:
        await asyncio.sleep(WATCH_S)
        try:
            await services.key_renewed()
        except RedisError as error:
            # The new key is in use; the pause, if there is one, runs out by itself.
            logger.warning("the pause was not ended", extra={"reason": type(error).__name__})


async def _kept_going(name: str, loop: Callable[[], Awaitable[None]]) -> None:
    """Run a loop until it ends by itself; one that fails is begun again."""
    while True:
        try:
            await loop()
        except Exception:
            logger.exception("a loop of the worker failed and is begun again", extra={"loop": name})
            await asyncio.sleep(AGAIN_S)
        else:
            return


async def ended(tasks: Iterable[asyncio.Task[Any] | None]) -> None:
    """Cancel tasks until all have ended: a library below may swallow a cancellation, and the loop would go on."""
    left = {task for task in tasks if task is not None}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=STUBBORN_S)


async def _within(stopping: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
