"""Does what a worker does with one message, on Redis and in the model at once; the rules say when, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from tests.model.card import READS, Card
from tests.model.model import Model
from tests.model.steps import ANSWERS, create_key, step_for
from tests.redis.conftest import Account
from worker.core.photo import Photo, Stage, StepName
from worker.core.routes import Route
from worker.core.step import Step
from worker.flow.admission import Granted, Stale
from worker.flow.dispatching import Dispatched
from worker.pipeline.interruption import interruption

T = TypeVar("T")


@dataclass
class Work:
    """A step that some worker has begun; `step` is what it will settle with once it knows."""

    sent: Dispatched
    photo: Photo
    granted: bool
    key: str = ""
    step: Step | None = None


class Driver:
    """The workers of one account, and the API that they call: `jobs` by their keys."""

    account: Account
    model: Model

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.messages: list[Dispatched] = []
        self.delivered: list[Dispatched] = []
        self.at_work: list[Work] = []
        self.settled: list[Work] = []
        self.jobs: dict[str, str] = {}
        #: The create of each photo that nobody knows the outcome of.
        self.unanswered: dict[str, str] = {}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def named(self, message: Dispatched) -> Card:
        return self.model.cards[message.label]

    def begin_step(self, sent: Dispatched, answer: int) -> Work | None:
        self.delivered.append(sent)
        card, read = self.named(sent), READS.get(sent.step)
        budget = self.account.limits.budgets[Route(read)] if read else None
        before = self.model.why_not(card, read, create=False) if read else None
        batch = self.run(self.account.ledger.open(sent.step, [(sent.key, sent.token)], budget))
        assert bool(batch.opened) == self.model.open(card, sent.token)
        if not batch.opened:
            return None
        [opened] = batch.opened
        work = Work(sent=sent, photo=opened.photo, granted=not read)
        if read:
            work.granted = opened.wait_ms == 0
            assert work.granted == (before is None), before
            if work.granted:
                self.model.granted(card, sent.token, read)
        self.run(self._act(work, card, answer))
        return work

    async def _act(self, work: Work, card: Card, answer: int) -> None:
        """Do what `worker/pipeline/batch.py` does between opening and settling."""
        work.step = interruption(work.photo)
        if work.step is not None:
            return
        word = ANSWERS[work.sent.step][answer % len(ANSWERS[work.sent.step])]
        if work.sent.step in {StepName.INGEST_SOURCE, StepName.CREATE_GENERATION}:
            work.granted = await self._admit(work, card, word)
        if not work.granted:
            word = "wait"
        job = self._answered(work, word)
        work.step = await step_for(work.photo, work.sent.step, word, job)

    async def _admit(self, work: Work, card: Card, word: str) -> bool:
        create = work.sent.step is StepName.CREATE_GENERATION
        if word in {"receipt", "staged", "too_late"}:
            return True
        more: dict[str, Any] = {}
        route = Route.SOURCE_ASSETS
        if create:
            route = Route.REGENERATE if work.photo.parent_job_id else Route.GENERATIONS
            work.key = create_key(work.photo)
            intent = {"body": "{}", "idempotency_key": work.key}
            more = {"takes_slot": True, "intent": intent, "stage": Stage.CREATING}
        reason = self.model.why_not(card, route, create=create)
        answer = await self.account.admit(work.photo, route, **more)
        assert not isinstance(answer, Stale)
        if not isinstance(answer, Granted):
            assert reason is not None, "a call that may be made is not granted"
            return False
        assert reason is None, reason
        self.model.granted(card, work.photo.token, route, create=work.key if create else None)
        if create:
            known = self.unanswered.setdefault(card.name, work.key)
            assert known == work.key, "another job is created while nobody knows whether there is one"
        return True

    def _answered(self, work: Work, word: str) -> str:
        """Let the API do what an answer means; return the id of the job."""
        key = work.key or create_key(work.photo)
        if word in {"created", "lost", "receipt", "staged"}:
            self.jobs.setdefault(key, f"job-{len(self.jobs)}")
        return self.jobs.get(key, "")

    def settle_step(self, work: Work) -> None:
        assert work.step is not None
        card = self.named(work.sent)
        again = card.settled == work.photo.token
        done = self.run(self.account.ledger.settle(work.photo, work.step))
        assert done == self.model.settle(card, work.photo.token, work.step)
        if (
            done
            and not again
            and work.key
            and work.step.stage is not Stage.CREATING
            and work.step.stage is not Stage.UNCERTAIN
        ):
            self.unanswered.pop(card.name, None)
        if work not in self.settled:
            self.settled.append(work)
