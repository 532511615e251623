"""One worker process: its event loop for all I/O, and on it each account's services and dispatcher.

Started and stopped by the bootstep. Accounts share the loop, the broker and nothing else: connections, pools, leases,
hands and the lead are each account's own, so that one whose API is slow or whose key is revoked holds up no other.

It ends in order: draining, nothing is begun and what runs is settled, within STAGECREW_SHUTDOWN_GRACE_S; what is not
over by then, or when it is told a second time, is stopped as by a crash and left to its leases.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from prometheus_client import ProcessCollector

import worker
from config.accounts import DEFAULT, accounts_of, settings_for
from config.rotation import LiveAccounts
from worker.core.photo import StepName
from worker.desks import Desks
from worker.intake.outcome import Result
from worker.intake.reception import Tally
from worker.lifesign import Lifesign
from worker.metrics.meters import Meters
from worker.metrics.port import open_port
from worker.metrics.pulse import Pulse
from worker.serving import Serving, ended

if TYPE_CHECKING:
    from config.settings import Settings

logger = logging.getLogger(__name__)

#: Python's own are for small programs: a batch alone makes more objects than the first of them.
GC_THRESHOLDS: Final = (20_000, 20, 50)
#: How long the process waits for its loop to start and to end, in seconds.
START_S: Final = 30.0
STOP_S: Final = 20.0
#: The pause before steps that did not stop are stopped again, in seconds.
STUBBORN_S: Final = 0.5
#: A message of a newer release is sent out again after so long, in ms: perhaps to a worker that knows it.
LEFT_MS: Final = 2_000

#: Sends one account's batch to the broker: (account, step, [(key, token, label), ...]).
Publish = Callable[[str, StepName, Sequence[tuple[str, str, str]]], None]


class Process:
    """Everything that lives as long as the worker process, on one event loop in a thread of its own."""

    def __init__(self, settings: Settings, *, name: str, publish: Publish) -> None:
        """`publish` sends one batch to the broker; it blocks, so it is called off the loop."""
        self._settings = settings
        self._loop = _new_loop()
        self._thread = threading.Thread(target=self._run, name="stagecrew-loop", daemon=True)
        self._started = threading.Event()
        self._stop = asyncio.Event()
        self._trouble: BaseException | None = None
        self._draining = False
        self._lifesign = Lifesign(settings.alive_file)
        #: Where the worker shows its metrics, or None.
        self.metrics_port: int | None = None
        self._meters = Meters()
        self._meters.about(version=worker.__version__, worker=name)
        ProcessCollector(registry=self._meters.registry)
        self._pulse = Pulse(self._meters)
        self._closing = contextlib.ExitStack()
        live, names = LiveAccounts(settings), list(accounts_of(settings))
        self._desks = Desks(settings, live)
        # Flower and the logs name the account only where it says something.
        self._prefixes = {account: f"{account}:" if len(names) > 1 else "" for account in names}
        self._serving: Mapping[str, Serving] = {
            account: Serving(
                settings_for(settings, account),
                name=name,
                live=live,
                publish=partial(_labelled, partial(publish, account), self._prefixes[account]),
                alone=len(names) == 1,
                meters=self._meters,
                pulse=self._pulse,
            )
            for account in names
        }

    def start(self) -> None:
        """Start the loop; raises what kept the services from opening, when no account's did.

        Raises OSError when the file that shows life can't be written.
        """
        # What was built by now stays: looking through it for garbage again and again costs a tenth of a step.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        self._lifesign.begin()
        self._closing.enter_context(_counted(self._meters.log_handler()))
        self._thread.start()
        self._started.wait(START_S)
        if self._trouble is not None:
            self._closing.close()
            raise self._trouble
        if not self._started.is_set():
            self._closing.close()
            message = f"the worker's services did not open within {START_S:.0f} s"
            raise TimeoutError(message)
        host, port = self._settings.metrics_host, self._settings.metrics_port
        self.metrics_port = self._closing.enter_context(open_port(host, port, self._meters.registry, self._pulse))

    def drain(self) -> None:
        """Take no new work: the process leaves the list of workers and gives up its lead; the second time, stop all."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        if self._draining:
            self._abandon("told again")
            return
        self._draining = True
        self._lifesign.stopping()
        busy = sum(serving.busy for serving in self._serving.values())
        logger.info("draining", extra={"steps": busy, "grace_s": self._settings.shutdown_grace_s})
        for serving in self._serving.values():
            serving.drain()
        self._loop.call_later(self._settings.shutdown_grace_s, self._abandon, "the grace period is over")

    def _abandon(self, why: str = "") -> None:
        if left := sum(serving.abandon() for serving in self._serving.values()):
            if why:
                logger.warning("steps left to their leases", extra={"steps": left, "reason": why})
            # A library below may swallow a cancellation.
            self._loop.call_later(STUBBORN_S, self._abandon)

    def stop(self) -> None:
        """Close everything and end the loop."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(STOP_S)
        self._closing.close()

    def run_batch(
        self, step: StepName, leases: Sequence[tuple[str, str, str]], account: str = DEFAULT
    ) -> dict[str, str]:
        """Run a batch on the loop and wait for it; called from the pool's threads.

        A batch of an account that this worker does not serve is left alone: its leases run out and go elsewhere.
        """
        serving = self._serving.get(account)
        if serving is None or not serving.open:
            known = "not open" if serving is not None else "unknown"
            logger.warning("batch of an account left alone", extra={"account": account, "it_is": known})
            return {label: f"account {known} here" for _, _, label in leases}
        prefix = self._prefixes[account]
        plain = [(key, token, label.removeprefix(prefix)) for key, token, label in leases]
        outcome = asyncio.run_coroutine_threadsafe(serving.run(step, plain), self._loop).result()
        return {f"{prefix}{label}": became for label, became in outcome.items()}

    def leave(self, leases: Sequence[tuple[str, str, str]], account: str = DEFAULT) -> dict[str, str]:
        """Give leases back that came in a message of a newer release; called from the pool's threads."""
        serving = self._serving.get(account)
        if serving is None or not serving.open:
            return {label: "left to its lease" for _, _, label in leases}
        returned = serving.give_back(leases, delay_ms=LEFT_MS)
        return asyncio.run_coroutine_threadsafe(returned, self._loop).result()

    def take_in(self, results: Sequence[Result]) -> Tally:
        """Hand over the records of a message on the loop and wait for it. Raises RedisError: then nothing is sure."""
        return asyncio.run_coroutine_threadsafe(self._take_in(results), self._loop).result()

    async def _take_in(self, results: Sequence[Result]) -> Tally:
        reception = self._desks.reception(door="celery")
        await reception.take(results)
        return await reception.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._ticking())
        except BaseException as error:
            self._trouble = error
            if self._started.is_set():
                logger.exception("the worker's loop ended")
        finally:
            self._started.set()
            self._loop.run_until_complete(self._end_what_is_left())
            self._loop.close()

    async def _ticking(self) -> None:
        ticking = asyncio.create_task(self._pulse.tick_for_ever(), name="pulse")
        try:
            await self._live()
        finally:
            ticking.cancel()

    async def _end_what_is_left(self) -> None:
        """Cancel the batches that still run: their threads wait for an end, and the process for its threads."""
        await ended(asyncio.all_tasks() - {asyncio.current_task()})

    async def _live(self) -> None:
        for doubt in self._settings.origin.doubts:
            logger.warning("a setting is doubtful", extra={"reason": doubt})
        serving = self._serving.values()
        lives = [
            asyncio.create_task(one.live(self._stop), name=f"account {name}") for name, one in self._serving.items()
        ]
        # The first that opens is enough to begin: none waits for another.
        trying = {asyncio.create_task(one.tried.wait()) for one in serving}
        while trying and not any(one.open for one in serving):
            _, trying = await asyncio.wait(trying, return_when=asyncio.FIRST_COMPLETED)
        for task in trying:
            task.cancel()
        if not any(one.open for one in serving):
            self._stop.set()
            await asyncio.gather(*lives, return_exceptions=True)
            raise next(one.trouble for one in serving if one.trouble is not None)
        beating = asyncio.create_task(self._lifesign.beat_for_ever(), name="sign of life")
        try:
            async with self._desks.open():
                self._started.set()
                await asyncio.gather(*lives)
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)


@contextlib.contextmanager
def _counted(handler: logging.Handler) -> Iterator[None]:
    """Count what is logged while the block runs."""
    logging.root.addHandler(handler)
    try:
        yield
    finally:
        logging.root.removeHandler(handler)


def _labelled(
    publish: Callable[[StepName, Sequence[tuple[str, str, str]]], None],
    prefix: str,
    step: StepName,
    photos: Sequence[tuple[str, str, str]],
) -> None:
    """Publish a batch with the account before each label."""
    publish(step, [(key, token, f"{prefix}{label}") for key, token, label in photos])


def _new_loop() -> asyncio.AbstractEventLoop:
    """Return the process's event loop: uvloop's takes a third less CPU for the same calls."""
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop  # noqa: PLC0415 - there is none for Windows

    return uvloop.new_event_loop()


#: The process that the bootstep started; None outside a worker.
current: Process | None = None


def start(settings: Settings, *, name: str, publish: Publish) -> Process:
    """Start this process's part of the fleet, once."""
    global current  # noqa: PLW0603 - one process is one Process, and tasks have no other way to it
    current = Process(settings, name=name, publish=publish)
    current.start()
    return current
