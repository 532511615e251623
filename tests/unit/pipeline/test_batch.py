"""A batch that Redis does not open is left to its leases: nothing is done, and nobody is told of a failure."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from redis.exceptions import ResponseError

from worker.core.photo import StepName
from worker.pipeline.batch import Batches


class Refusing:
    """A ledger whose Redis takes no writes."""

    async def open(self, *_: Any) -> Any:
        raise ResponseError("MISCONF Errors writing to the AOF file: No space left on device")


def test_a_batch_that_redis_does_not_open_does_nothing() -> None:
    services: Any = SimpleNamespace(ledger=Refusing(), limits=None)
    leases = [("key-1", "7", "l/1"), ("key-2", "8", "l/2")]
    batches = Batches(services, lease_s=20)
    assert asyncio.run(batches.run(StepName.ANNOUNCE, leases)) == {"l/1": "not opened", "l/2": "not opened"}
    assert batches.busy == 0
