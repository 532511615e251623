"""Webhooks of photos about which people have asked for something: another picture, or none."""

from __future__ import annotations

import pytest

from tests.redis.conftest import Account, Tell
from tests.redis.jobs import generating, next_photo, nothing_left
from worker.core.photo import Stage
from worker.core.routes import Route
from worker.flow.admission import Granted
from worker.ledger.control import Control
from worker.ledger.inbox import Outcome
from worker.pipeline.interruption import interruption

PHOTO = ("a", "photo-0")


@pytest.mark.parametrize("keep", [True, False])
def test_a_cancelled_photos_webhook_brings_its_result_to_where_it_is_kept_or_dropped(tell: Tell, keep: bool) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await generating(account)
        await Control(account.ledger).cancel([PHOTO], keep=keep)
        assert await account.hear("j") is Outcome.APPLIED
        photo = await next_photo(account)
        step = interruption(photo)
        assert (photo.stage, step is None) == (Stage.STORING, keep)
        if step is not None:
            await account.ledger.settle(photo, step)
            assert (await account.snapshot()).stages == {Stage.CANCELLED: 1}
            await nothing_left(account)
            assert await account.hear("j", "generation.failed", url=None) is Outcome.LATE

    tell(story)


def test_another_pictures_webhook_that_names_the_first_jobs_reference_waits_for_its_own_answer(tell: Tell) -> None:
    """The API need not echo a reference of a regeneration's own, and may echo its parent's (contract, point 42)."""

    async def story(account: Account) -> None:
        await account.begin()
        await generating(account)
        await account.hear("j")
        await account.settle(await next_photo(account), Stage.DONE)
        await Control(account.ledger).regenerate([PHOTO])
        sender = await next_photo(account)
        answer = await account.admit(
            sender,
            Route.REGENERATE,
            takes_slot=True,
            intent={"body": "{}", "idempotency_key": "regenerate-k"},
            stage=Stage.CREATING,
        )
        assert isinstance(answer, Granted)
        assert await account.hear("second", reference="k-j", url="https://api/second") is Outcome.KEPT
        assert await account.hear("j", "generation.archived", url=None) is Outcome.LATE, "the first job is over"
        fields = {"job_id": "second", "created_ms": str(account.clock_ms)}
        assert await account.settle(sender, Stage.GENERATING, fields=fields, drop=("body", "sent_ms"))
        photo = await next_photo(account)
        assert (photo.stage, photo.job_id, "second" in (photo.outputs or "")) == (Stage.STORING, "second", True)
        await account.settle(photo, Stage.ANNOUNCING)
        await nothing_left(account)

    tell(story)
