"""An output that does not arrive is fetched again for hours; one that will never do fails the photo soon, paid."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from worker.core.backoff import LONGEST_MS
from worker.core.decide import PATIENT_TRIES, Rules
from worker.core.photo import Photo, Stage
from worker.core.request import Request
from worker.pipeline.persist import MAX_REREADS, store_outputs
from worker.storage.errors import DownloadFailed, NotAnImage, OutputTooLarge, UrlExpired


class Fetcher:
    """Where outputs come from; none does."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def fetch(self, _: str) -> Any:
        raise self._error


def after(error: Exception, *, rereads: int) -> Any:
    photo = Photo(
        key="key",
        account="default",
        listing_id="l",
        photo_id="p",
        partner="acme",
        metadata={},
        request=Request(source="s"),
        fingerprint="f",
        revision=1,
        stage=Stage.STORING,
        token="1",
        now_ms=1,
        accepted_ms=1,
        outputs=json.dumps({"urls": [{"role": "primary", "url": "https://x/1"}]}),
        rereads=rereads,
    )
    services: Any = SimpleNamespace(outputs=Fetcher(error), rules=Rules())
    return asyncio.run(store_outputs(services, photo))


def test_an_output_that_does_not_arrive_is_fetched_again_for_hours() -> None:
    waits = [after(DownloadFailed("m"), rereads=tries) for tries in range(PATIENT_TRIES)]
    assert {step.stage for step in waits} == {Stage.GENERATING}
    assert waits[0].delay_ms == 0
    assert max(step.delay_ms for step in waits) == LONGEST_MS
    assert sum(step.delay_ms for step in waits) > 5 * 3_600_000
    assert after(DownloadFailed("m"), rereads=PATIENT_TRIES).stage is Stage.FAILED


@pytest.mark.parametrize(
    "error", [UrlExpired("m"), NotAnImage("m"), OutputTooLarge("m")], ids=lambda e: type(e).__name__
)
def test_an_output_that_will_not_do_fails_the_photo_so_that_a_replay_reads_the_paid_job(error: Exception) -> None:
    assert after(error, rereads=MAX_REREADS - 1).stage is Stage.GENERATING
    failed = after(error, rereads=MAX_REREADS)
    assert failed.stage is Stage.FAILED
    assert failed.fields == {"resume": "1"}
