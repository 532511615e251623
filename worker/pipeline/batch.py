"""Runs a batch of leased photos through one step: open, act on each at once, settle each on its own.

A stale lease is skipped before anything is called. One bad photo never fails its neighbours, and a slow one holds up
neither their settling nor another batch. Leases are renewed while their steps run; a step whose lease is lost is
stopped. Once it drains, nothing is begun any more: what comes is given back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError

from worker.core.decide import MAX_LOST, PAID, after_trouble, fail, fail_paid, uncertain
from worker.core.events import photo_failed
from worker.core.photo import ENDED, Photo, Stage, StepName
from worker.core.step import Ending, Step
from worker.core.trouble import Cause, Trouble
from worker.ledger.ledger import Opened
from worker.logbook import logged
from worker.pipeline import LeaseLost
from worker.pipeline.announce import announce
from worker.pipeline.generate import create_generation, poll_generation
from worker.pipeline.ingest import ingest_source, poll_ingest
from worker.pipeline.interruption import interruption, or_cancelled
from worker.pipeline.persist import store_outputs
from worker.pipeline.trouble import from_elsewhere, label

if TYPE_CHECKING:
    from worker.services import Services

logger = logging.getLogger(__name__)

#: The longest a step of one photo may run, in seconds; every call, upload and download has a shorter one of its own.
STEP_DEADLINE_S: Final = 300.0
#: How often settling is tried when Redis is away; after that the lease runs out and the step is done again.
SETTLE_TRIES: Final = 5

NOT_SETTLED: Final = "not settled"
#: How metrics call what became of a step, where that is not its first word.
OUTCOMES: Final = {NOT_SETTLED: "unsettled"}

Verb = Callable[["Services", Photo], Awaitable[Step]]
VERBS: Final[dict[StepName, Verb]] = {
    StepName.INGEST_SOURCE: ingest_source,
    StepName.POLL_INGEST: poll_ingest,
    StepName.CREATE_GENERATION: create_generation,
    StepName.POLL_GENERATION: poll_generation,
    StepName.STORE_OUTPUTS: store_outputs,
    StepName.ANNOUNCE: announce,
}
#: Steps whose one call is a read: its grant is taken when the lease is opened.
READS: Final = frozenset({StepName.POLL_INGEST, StepName.POLL_GENERATION})


class Batches:
    """Runs batches in one process; knows every lease that the process holds."""

    def __init__(self, services: Services, *, lease_s: float) -> None:
        """`lease_s`: how long a lease lasts; it is renewed three times as often."""
        self._services = services
        self._lease_s = lease_s
        self._running: dict[str, tuple[str, asyncio.Task[str]]] = {}
        self._draining = False

    @property
    def busy(self) -> int:
        """How many photos this process works on."""
        return len(self._running)

    async def run(self, step: StepName, leases: Sequence[tuple[str, str, str]]) -> dict[str, str]:
        """Run one step for leased photos (key, token, label); return what became of each, by label.

        Where Redis does not answer nothing is done: the leases run out, and the photos are handed out again.
        """
        if self._draining:
            return await self.give_back(leases)
        asked_s = time.monotonic()
        read = self._services.limits.for_step(step)[0] if step in READS else None
        try:
            batch = await self._services.ledger.open(step, [(key, token) for key, token, _ in leases], read)
        except RedisError as error:
            logger.warning("batch not opened", extra={"step": step.value, "reason": type(error).__name__})
            return {name: "not opened" for _, _, name in leases}
        self._services.meter.batch(step.value, len(leases), opened=len(batch.opened))
        self._services.load = batch.load
        if batch.newer:
            logger.warning("photos of a newer release are left to its workers", extra={"photos": batch.newer})
        outcome = {name: "stale" for _, _, name in leases}
        tasks = {}
        for opened in batch.opened:
            work = self._one(step, opened, asked_s=asked_s)
            task = asyncio.create_task(work, name=f"{step} {label(opened.photo)}")
            self._running[opened.photo.key] = (opened.photo.token, task)
            tasks[label(opened.photo)] = task
            task.add_done_callback(partial(self._forget, opened.photo.key, opened.photo.token))
        results = await asyncio.gather(*tasks.values(), return_exceptions=True)
        for name, result in zip(tasks, results, strict=True):
            outcome[name] = result if isinstance(result, str) else "lease lost"
        return outcome

    def drain(self) -> None:
        """Begin nothing more; what runs goes on to its end."""
        self._draining = True

    async def give_back(self, leases: Sequence[tuple[str, str, str]], *, delay_ms: int = 0) -> dict[str, str]:
        """Give the leases of a batch back that was not begun; it costs its photos no attempt and no lease's time."""
        try:
            await self._services.ledger.give_back([(key, token) for key, token, _ in leases], delay_ms=delay_ms)
        except RedisError as error:
            # The leases run out instead.
            logger.warning("leases not given back", extra={"reason": type(error).__name__, "leases": len(leases)})
        return {name: "given back" for _, _, name in leases}

    def abandon(self) -> int:
        """Stop what still runs, as a crash would: its leases run out, and others do it again. Return how many."""
        running = list(self._running.values())
        for _, task in running:
            task.cancel()
        return len(running)

    def _forget(self, key: str, token: str, _: object) -> None:
        if self._running.get(key, ("", None))[0] == token:
            del self._running[key]

    async def renew_for_ever(self) -> None:
        """Keep the leases of everything that runs; stop the steps whose lease is somebody else's."""
        while True:
            await asyncio.sleep(self._lease_s / 3)
            held = [(key, token) for key, (token, _) in self._running.items()]
            if not held:
                continue
            try:
                lost = await self._services.ledger.renew(held)
            except RedisError as error:
                logger.warning("leases not renewed", extra={"reason": type(error).__name__, "leases": len(held)})
                continue
            for key in lost:
                found = self._running.get(key)
                if found is not None and (key, found[0]) in held:
                    found[1].cancel()

    async def _one(self, name: StepName, opened: Opened, *, asked_s: float) -> str:
        photo = opened.photo
        # Each photo has a task of its own, so this holds for its lines only.
        logged.about(photo.listing_id, photo.photo_id, step=name.value, job=photo.job_id)
        began_s, outcome = time.monotonic(), "lost"
        try:
            with self._services.tracer.step(photo, name) as span:
                outcome = await self._run(name, opened, asked_s=asked_s)
                span.ended(outcome)
            logger.debug("step ended", extra={"outcome": outcome})
        finally:
            word = OUTCOMES.get(outcome, outcome.partition(" ")[0])
            self._services.meter.step(name.value, word, time.monotonic() - began_s)
        return outcome

    async def _run(self, name: StepName, opened: Opened, *, asked_s: float) -> str:
        photo = opened.photo
        try:
            async with asyncio.timeout(STEP_DEADLINE_S):
                step = await self._act(name, opened, asked_s=asked_s)
        except LeaseLost:
            return "stale"
        except Exception as error:
            trouble = from_elsewhere(error)
            if trouble.cause is Cause.BUG:
                self._services.meter.error(name.value)
                logger.exception("step failed unexpectedly")
            step = after_trouble(photo, trouble, jitter=self._services.jitter(), rules=self._services.rules)
        return await self._settle(photo, step)

    async def _act(self, name: StepName, opened: Opened, *, asked_s: float) -> Step:
        photo = opened.photo
        if photo.lost >= MAX_LOST:
            return _lost_too_often(photo)
        if (asked := interruption(photo)) is not None:
            return asked
        if name in READS:
            spent_ms = (time.monotonic() - asked_s) * 1000
            if opened.wait_ms > 0 or spent_ms >= self._services.limits.guard_ms:
                return Step(ending=Ending.BACKLOG, stage=photo.stage, delay_ms=opened.wait_ms)
        return await VERBS[name](self._services, photo)

    async def _settle(self, photo: Photo, step: Step) -> str:
        if step.stage is Stage.FAILED and step.event is None:
            event = photo_failed(photo, step.error_code or "failed", step.error_message or "")
            step = replace(step, event=event)
        step = or_cancelled(photo, step)
        for tries in range(SETTLE_TRIES):
            try:
                settled = await self._services.ledger.settle(photo, step)
                break
            except RedisError as error:
                logger.warning("not settled yet", extra={"reason": type(error).__name__})
                if tries == SETTLE_TRIES - 1:
                    return NOT_SETTLED
                await asyncio.sleep(0.2 * 2**tries)
        if not settled:
            return "stale"
        if step.stage in {Stage.FAILED, Stage.UNCERTAIN}:
            logger.warning(
                "photo held",
                extra={"stage": step.stage.value, "code": step.error_code, "reason": step.error_message},
            )
        if step.stage in ENDED:
            seconds = max(0, photo.now_ms - photo.accepted_ms) / 1000
            logger.info("photo ended", extra={"stage": step.stage.value, "seconds": seconds})
            self._services.meter.ended(step.stage.value, seconds)
            self._services.tracer.ended(photo, step.stage, step.error_code)
        return f"{step.ending} {step.stage}"


def _lost_too_often(photo: Photo) -> Step:
    message = f"this step was lost {photo.lost} times with the worker that was at it; see the workers' logs"
    if photo.stage in {Stage.CREATING, Stage.GENERATING}:
        return uncertain(Trouble(cause=Cause.BUG, code="lost_too_often", message=message))
    return (fail_paid if photo.stage in PAID else fail)("lost_too_often", message)
