"""A batch that Redis does not open is left to its leases; a step that ends its workers fails, and buys nothing anew."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from redis.exceptions import ResponseError

from tests.unit.core.test_decide import photo_in
from worker.core.cadence import Load
from worker.core.decide import MAX_LOST
from worker.core.photo import STEP_OF, Photo, Stage, StepName
from worker.core.step import Step
from worker.ledger.ledger import Batch, Opened
from worker.metrics.meters import Meters
from worker.pipeline.batch import Batches
from worker.tracing import OFF


class Refusing:
    """A ledger whose Redis takes no writes."""

    async def open(self, *_: Any) -> Any:
        raise ResponseError("MISCONF Errors writing to the AOF file: No space left on device")


class Holding:
    """A ledger of one photo, which keeps what is settled."""

    def __init__(self, photo: Photo) -> None:
        self._photo = photo
        self.settled: list[Step] = []

    async def open(self, *_: Any) -> Batch:
        return Batch(opened=(Opened(photo=self._photo, wait_ms=0),), load=Load())

    async def settle(self, _: Photo, step: Step) -> bool:
        self.settled.append(step)
        return True


def test_a_batch_that_redis_does_not_open_does_nothing() -> None:
    services: Any = SimpleNamespace(ledger=Refusing(), limits=None)
    leases = [("key-1", "7", "l/1"), ("key-2", "8", "l/2")]
    batches = Batches(services, lease_s=20)
    assert asyncio.run(batches.run(StepName.ANNOUNCE, leases)) == {"l/1": "not opened", "l/2": "not opened"}
    assert batches.busy == 0


@pytest.mark.parametrize(
    ("stage", "fields"),
    [(Stage.ACCEPTED, {}), (Stage.STORING, {"resume": "1"}), (Stage.ANNOUNCING, {"resume": "1"})],
)
def test_a_step_that_ends_its_workers_fails_the_photo_and_a_replay_reads_the_job_that_is_paid_for(
    stage: Stage, fields: dict[str, str]
) -> None:
    ledger = Holding(replace(photo_in(stage), lost=MAX_LOST))
    services: Any = SimpleNamespace(ledger=ledger, meter=Meters().account("default"), tracer=OFF)
    asyncio.run(Batches(services, lease_s=20).run(STEP_OF[stage], [("key", "1", "listing/photo")]))
    [step] = ledger.settled
    assert (step.stage, step.error_code, step.fields) == (Stage.FAILED, "lost_too_often", fields)
