"""One worker process: its event loop for all I/O, its services, its dispatcher. Started and stopped by the bootstep."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from worker.core.photo import StepName
from worker.dispatch.dispatcher import Dispatcher, Publish
from worker.intake.outcome import Result
from worker.intake.reception import Desk, Reception, Tally
from worker.ledger.intake import IntakeCounters
from worker.pipeline.batch import Batches
from worker.services import Account, open_services

if TYPE_CHECKING:
    from config.settings import Settings

logger = logging.getLogger(__name__)

#: How long the process waits for its loop to start and to end, in seconds.
START_S: Final = 30.0
STOP_S: Final = 20.0


class Process:
    """Everything that lives as long as the worker process, on one event loop in a thread of its own."""

    def __init__(self, settings: Settings, *, name: str, publish: Publish) -> None:
        """`publish` sends one batch to the broker; it blocks, so it is called off the loop."""
        self._settings = settings
        self._name = name
        self._publish = publish
        self._loop = _new_loop()
        self._thread = threading.Thread(target=self._run, name="stagecrew-loop", daemon=True)
        self._started = threading.Event()
        self._stop = asyncio.Event()
        self._trouble: BaseException | None = None
        self._batches: Batches | None = None
        self._dispatcher: Dispatcher | None = None
        self._desks: dict[str, Desk] = {}

    def start(self) -> None:
        """Start the loop; raises what kept the services from opening."""
        self._thread.start()
        self._started.wait(START_S)
        if self._trouble is not None:
            raise self._trouble
        if self._batches is None:
            message = f"the worker's services did not open within {START_S:.0f} s"
            raise TimeoutError(message)

    def drain(self) -> None:
        """Take no new work: the process leaves the list of workers and gives up its lead."""
        if self._dispatcher is not None:
            self._loop.call_soon_threadsafe(self._dispatcher.drain)

    def stop(self) -> None:
        """Close everything and end the loop."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(STOP_S)

    def run_batch(self, step: StepName, leases: Sequence[tuple[str, str, str]]) -> dict[str, str]:
        """Run a batch on the loop and wait for it; called from the pool's threads."""
        assert self._batches is not None
        return asyncio.run_coroutine_threadsafe(self._batches.run(step, leases), self._loop).result()

    def take_in(self, results: Sequence[Result]) -> Tally:
        """Hand over the records of a message on the loop and wait for it. Raises RedisError: then nothing is sure."""
        return asyncio.run_coroutine_threadsafe(self._take_in(results), self._loop).result()

    async def _take_in(self, results: Sequence[Result]) -> Tally:
        assert self._batches is not None
        reception = Reception(self._desks, door="celery")
        await reception.take(results)
        return await reception.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._live())
        except BaseException as error:
            self._trouble = error
            if self._started.is_set():
                logger.exception("the worker's loop ended")
        finally:
            self._started.set()
            self._loop.close()

    async def _live(self) -> None:
        async with open_services(self._settings) as services:
            account = services.account
            self._desks = {
                account.ledger.account: Desk(ledger=account.ledger, counters=IntakeCounters(account.scripts))
            }
            self._batches = Batches(services, lease_s=self._settings.lease_s)
            self._dispatcher = Dispatcher(
                services.account,
                name=self._name,
                hands=self._settings.hands,
                busy=lambda: self._batches.busy if self._batches else 0,
                publish=self._publish,
            )
            loops = [
                asyncio.create_task(self._batches.renew_for_ever(), name="renew"),
                asyncio.create_task(self._dispatcher.run(), name="dispatch"),
                asyncio.create_task(self._dispatcher.beat_for_ever(), name="heartbeat"),
            ]
            self._started.set()
            await self._stop.wait()
            for task in loops:
                task.cancel()
            for task in loops:
                with contextlib.suppress(asyncio.CancelledError):
                    await task


def desk_of(account: Account) -> Desk:
    """Return where an account's records are handed over."""
    return Desk(ledger=account.ledger, counters=IntakeCounters(account.scripts))


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
