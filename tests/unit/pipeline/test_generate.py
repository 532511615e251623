"""A create that Redis does not answer for is not sent, and the photo is what it was."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError

from tests.unit.core.test_decide import photo_in
from worker.core.decide import INTENT_FIELDS, Rules
from worker.core.photo import Stage
from worker.core.routes import Route
from worker.core.step import Ending, Step
from worker.pipeline.generate import create_generation


class Away:
    """An admission whose Redis does not answer."""

    async def admit(self, *_: Any, **__: Any) -> Any:
        raise RedisConnectionError("Connection closed by server.")


def unanswered(stage: Stage) -> Step:
    services: Any = SimpleNamespace(
        admission=Away(),
        limits=SimpleNamespace(budgets={Route.GENERATIONS: None}),
        rules=Rules(),
        webhook_url=None,
    )
    return asyncio.run(create_generation(services, photo_in(stage)))


def test_a_first_create_that_was_not_admitted_bought_nothing_and_waits_as_before() -> None:
    """In `creating` it would be counted by no cap, and held by no pause."""
    step = unanswered(Stage.INGESTED)
    assert (step.ending, step.stage) == (Ending.BACKLOG, Stage.INGESTED)
    assert step.release_slot
    assert step.unspent
    assert step.drop == INTENT_FIELDS
    assert step.delay_ms > 0


def test_a_create_that_was_sent_before_keeps_its_slot_its_key_and_its_bytes() -> None:
    step = unanswered(Stage.CREATING)
    assert (step.ending, step.stage, step.drop) == (Ending.WAIT, Stage.CREATING, ())
    assert not step.release_slot
    assert not step.unspent
