"""Photos that wait for another picture are no part of what is made ready for slots, however they came to wait."""

from __future__ import annotations

from tests.redis.conftest import Account, Tell
from tests.redis.jobs import ROOT, generating, next_photo
from worker.core.decide import INTENT_FIELDS
from worker.core.photo import Stage
from worker.core.routes import Route
from worker.core.step import Ending
from worker.ledger.control import Control

PHOTO = ("a", "photo-0")


def test_a_regeneration_that_was_refused_needs_no_source_and_so_keeps_nobody_elses_back(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await generating(account)
        account.push(100_000)
        await account.beat("worker-1")
        await account.settle(await next_photo(account), Stage.DONE, release_slot=True)
        await Control(account.ledger).regenerate([PHOTO])
        photo = await next_photo(account)
        intent = {"body": "{}", "idempotency_key": "k"}
        await account.admit(photo, Route.REGENERATE, takes_slot=True, intent=intent, stage=Stage.CREATING)
        await account.settle(
            photo, Stage.INGESTED, Ending.BACKLOG, drop=INTENT_FIELDS, release_slot=True, delay_ms=1_000
        )
        assert await account.redis.zrange(f"{ROOT}remaking", 0, -1) == [photo.key]
        account.push(1_000)
        await account.settle(await next_photo(account), Stage.DONE)
        assert await account.redis.zcard(f"{ROOT}remaking") == 0

    tell(story)


def test_a_job_that_an_earlier_life_has_bought_is_found_by_its_reference(tell: Tell) -> None:
    """A receipt tells both; a webhook may name only the reference."""

    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        fields = {"job_id": "j", "idempotency_key": "k", "receipt_written": "1"}
        await account.settle(await next_photo(account), Stage.GENERATING, fields=fields, adopt_slot=True)
        assert await account.hear(None, reference="k") == "applied"
        assert (await account.snapshot()).stages == {Stage.STORING: 1}

    tell(story)
