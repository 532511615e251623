"""Cancelled while a step was under way: what its end makes of the photo is decided on the row, in that very moment."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.redis.conftest import Account, Tell
from tests.redis.jobs import creating, generating, next_photo, nothing_left
from worker.core.decide import INTENT_FIELDS, fail
from worker.core.events import photo_failed
from worker.core.photo import Photo, Stage
from worker.core.step import Ending, Step
from worker.ledger.control import Control
from worker.ledger.pausing import Pauses
from worker.pipeline.interruption import or_cancelled

PHOTO = ("a", "photo-0")


def failed(photo: Photo) -> Step:
    step = fail("generation_failed", "m", release_slot=True)
    return or_cancelled(photo, replace(step, event=photo_failed(photo, "generation_failed", "m")))


def refused(photo: Photo) -> Step:
    step = Step(ending=Ending.BACKLOG, stage=Stage.INGESTED, drop=INTENT_FIELDS, release_slot=True, unspent=True)
    return or_cancelled(photo, step)


async def told(account: Account) -> list[tuple[str, bool | None]]:
    found = [json.loads(event) for event in await account.events()]
    return [(event["type"].split(".")[2], event["data"].get("paid")) for event in found if ".photo." in event["type"]]


@pytest.mark.parametrize(("keep", "stage"), [(False, Stage.CANCELLED), (True, Stage.FAILED)])
def test_a_job_that_fails_is_a_failure_unless_its_result_was_to_be_dropped(
    tell: Tell, keep: bool, stage: Stage
) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await generating(account)
        account.push(100_000)
        await account.beat("worker-1")
        photo = await next_photo(account)
        await Control(account.ledger).cancel([PHOTO], keep=keep)
        assert await account.ledger.settle(photo, failed(photo))
        assert (await account.snapshot()).stages == {stage: 1}
        assert await told(account) == [("cancelled", True) if stage is Stage.CANCELLED else ("failed", None)]
        await nothing_left(account)

    tell(story)


def test_a_create_that_is_refused_after_a_cancel_ends_at_once_though_its_partner_gets_no_turn(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        photo = await creating(account)
        await Pauses(account.ledger).pause_partner("default")
        await Control(account.ledger).cancel([PHOTO])
        assert await account.ledger.settle(photo, refused(photo))
        assert (await account.snapshot()).stages == {Stage.CANCELLED: 1}
        assert await told(account) == [("cancelled", False)]
        assert (await account.redis.hget("sc1:{default}:totals", "bought")) == "0"  # type: ignore[misc]
        await nothing_left(account)

    tell(story)


def test_a_changed_order_that_came_after_the_cancel_goes_on_when_the_create_is_refused(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        photo = await creating(account)
        await Control(account.ledger).cancel([PHOTO])
        await account.enqueue("a", 1, style="coastal")
        assert await account.ledger.settle(photo, refused(photo))
        assert (await account.snapshot()).stages == {Stage.ACCEPTED: 1}
        assert (await next_photo(account)).cancel is None
        assert await told(account) == [("cancelled", False)], "the order that was cancelled is over"

    tell(story)


def test_a_refused_create_of_a_photo_that_nobody_cancelled_waits_for_its_turn(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        photo = await creating(account)
        assert await account.ledger.settle(photo, refused(photo))
        assert (await account.snapshot()).stages == {Stage.INGESTED: 1}
        assert await account.events() == []

    tell(story)
