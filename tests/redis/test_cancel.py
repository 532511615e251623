"""Cancelling: what is before its create is withdrawn, whoever works on it; what is paid for is kept or dropped."""

from __future__ import annotations

import json

import pytest

from tests.redis.conftest import LEASE_MS, Account, Tell
from worker.core.identity import photo_key
from worker.core.photo import Photo, Stage
from worker.core.routes import Route
from worker.core.step import Ending
from worker.flow.admission import Granted, Stale
from worker.ledger.control import Control
from worker.ledger.search import find_photos
from worker.ledger.snapshot import Verdict
from worker.ledger.verdicts import CancelVerdict
from worker.pipeline.interruption import interruption

PHOTO = ("a", "photo-0")


async def cancel(account: Account, *photos: tuple[str, str], keep: bool = True) -> list[CancelVerdict]:
    control = Control(account.ledger)
    return [answer.verdict for answer in await control.cancel(photos or (PHOTO,), keep=keep)]


async def stage_of(account: Account) -> Stage:
    [view] = await account.ledger.views([PHOTO])
    return view.stage


async def to_generating(account: Account, count: int = 1) -> None:
    await account.enqueue("a", count)
    await account.advance(Stage.ACCEPTED, until=Stage.INGESTED)
    for sent in await account.dispatch():
        await account.settle(await account.create(sent), Stage.GENERATING, fields={"job_id": f"job {sent.label}"})


async def next_photo(account: Account) -> Photo:
    [sent] = await account.dispatch()
    return await account.take(sent)


def test_a_waiting_photo_is_withdrawn_announced_and_never_dispatched(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        assert await cancel(account) == [CancelVerdict.WITHDRAWN]
        assert await account.dispatch() == ()
        photo, listing = [json.loads(event) for event in await account.events()]
        assert photo["type"] == "stagecrew.photo.cancelled.v1"
        assert photo["data"]["paid"] is False
        assert listing["type"] == "stagecrew.listing.completed.v1"
        assert listing["data"]["cancelled"] == 1
        assert (await account.snapshot()).stages == {Stage.CANCELLED: 1}

    tell(story)


@pytest.mark.parametrize("stage", [Stage.ACCEPTED, Stage.INGESTING, Stage.INGESTED])
def test_whoever_works_on_a_withdrawn_photo_can_neither_call_nor_settle(tell: Tell, stage: Stage) -> None:
    """The race that matters: a worker has the lease and is about to send."""

    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        if stage is not Stage.ACCEPTED:
            await account.advance(Stage.ACCEPTED, until=stage)
        photo = await next_photo(account)
        assert photo.stage is stage
        assert await cancel(account) == [CancelVerdict.WITHDRAWN]
        answer = await account.admit(photo, Route.GENERATIONS, takes_slot=True, stage=Stage.CREATING)
        assert isinstance(answer, Stale)
        assert not await account.settle(photo, Stage.INGESTED)
        assert await account.ledger.renew([(photo.key, photo.token)]) == {photo.key}
        account.push(LEASE_MS + 1)
        await account.beat("worker-1")
        assert await account.dispatch() == ()
        snapshot = await account.snapshot()
        assert (snapshot.stages, snapshot.slots_used, snapshot.leases) == ({Stage.CANCELLED: 1}, 0, 0)
        assert len(await account.events()) == 2, "the photo's end and its listing's, once each"

    tell(story)


def test_a_message_that_is_still_in_the_queue_finds_its_lease_gone(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        [sent] = await account.dispatch()
        assert await cancel(account) == [CancelVerdict.WITHDRAWN]
        assert (await account.ledger.open(sent.step, [(sent.key, sent.token)])).opened == ()

    tell(story)


def test_a_photo_whose_create_was_sent_is_said_to_be_paid_for_and_is_stored_as_usual(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        await account.advance(Stage.ACCEPTED, until=Stage.INGESTED)
        [sent] = await account.dispatch()
        photo = await account.create(sent)
        assert await cancel(account) == [CancelVerdict.KEPT], "sent, and no answer yet"
        assert await account.settle(photo, Stage.GENERATING, fields={"job_id": "j"})
        photo = await next_photo(account)
        assert interruption(photo) is None
        await account.settle(photo, Stage.STORING, release_slot=True)
        photo = await next_photo(account)
        assert interruption(photo) is None, "it is stored"

    tell(story)


def test_a_dropped_photo_holds_its_slot_until_its_job_is_over_and_ends_as_cancelled_and_paid(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await to_generating(account)
        assert await cancel(account, keep=False) == [CancelVerdict.DROPPED]
        assert (await account.snapshot()).slots_used == 1
        photo = await next_photo(account)
        assert interruption(photo) is None, "the job runs on"
        await account.settle(photo, Stage.STORING, release_slot=True)
        photo = await next_photo(account)
        [view] = await account.ledger.views([PHOTO])
        assert (photo.stage, view.cancel) == (Stage.STORING, "drop")
        step = interruption(photo)
        assert step is not None
        assert await account.ledger.settle(photo, step)
        assert await stage_of(account) is Stage.CANCELLED
        assert json.loads((await account.events())[0])["data"]["paid"] is True

    tell(story)


def test_what_is_being_stored_this_moment_is_kept(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await to_generating(account)
        await account.settle(await next_photo(account), Stage.STORING, release_slot=True)
        photo = await next_photo(account)
        assert await cancel(account, keep=False) == [CancelVerdict.KEPT]
        assert await account.settle(photo, Stage.ANNOUNCING)
        assert await cancel(account, keep=False) == [CancelVerdict.KEPT]

    tell(story)


@pytest.mark.parametrize("keep", [True, False])
def test_a_cancelled_photo_whose_create_was_refused_after_all_is_not_sent_again(tell: Tell, keep: bool) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        await account.advance(Stage.ACCEPTED, until=Stage.INGESTED)
        [sent] = await account.dispatch()
        photo = await account.create(sent)
        await cancel(account, keep=keep)
        await account.settle(photo, Stage.INGESTED, Ending.BACKLOG, release_slot=True)
        photo = await next_photo(account)
        step = interruption(photo)
        assert step is not None
        assert await account.ledger.settle(photo, step)
        assert json.loads((await account.events())[0])["data"]["paid"] is False
        assert (await account.snapshot()).stages == {Stage.CANCELLED: 1}

    tell(story)


def test_cancelling_again_changes_nothing_and_says_so(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        await cancel(account)
        assert await cancel(account) == [CancelVerdict.ENDED]
        assert len(await account.events()) == 2

    tell(story)


def test_ended_uncertain_and_unknown_photos_are_named_as_what_they_are(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 2)
        await account.advance(Stage.ACCEPTED, until=Stage.INGESTED)
        first, second = await account.dispatch()
        await account.settle(await account.take(first), Stage.FAILED, Ending.FAIL, error_code="c", error_message="m")
        await account.settle(
            await account.create(second), Stage.UNCERTAIN, Ending.FAIL, error_code="c", error_message="m"
        )
        answers = await cancel(account, *(tuple(sent.label.split("/")) for sent in (first, second)), ("b", "none"))
        assert answers == [CancelVerdict.ENDED, CancelVerdict.UNCERTAIN, CancelVerdict.UNKNOWN]
        assert (await account.snapshot()).slots_used == 1, "an uncertain create may have a job"

    tell(story)


def test_a_cancelled_photo_that_is_enqueued_again_is_staged_after_all(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        await cancel(account)
        account.push(1)
        [answer] = await account.enqueue("a", 1)
        assert (answer.verdict, answer.stage) == (Verdict.ACCEPTED, Stage.ACCEPTED)
        await account.settle(await next_photo(account), Stage.INGESTED)
        account.push(1)
        await cancel(account)
        kinds = [json.loads(event)["type"].split(".")[1] for event in await account.events()]
        ids = {json.loads(event)["id"] for event in await account.events() if "photo.cancelled" in event}
        assert kinds.count("photo") == len(ids) == 2, "each cancellation is other news"

    tell(story)


def test_a_dropped_photo_that_is_enqueued_again_reads_its_paid_job_and_buys_none(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await to_generating(account)
        await cancel(account, keep=False)
        await account.settle(await next_photo(account), Stage.STORING, release_slot=True)
        photo = await next_photo(account)
        step = interruption(photo)
        assert step is not None
        await account.ledger.settle(photo, step)
        [answer] = await account.enqueue("a", 1)
        assert (answer.verdict, answer.stage) == (Verdict.ACCEPTED, Stage.GENERATING)
        account.push(1_000)
        photo = await next_photo(account)
        assert (photo.stage, photo.job_id, photo.cancel) == (Stage.GENERATING, "job a/photo-0", None)

    tell(story)


def test_a_photo_that_is_enqueued_again_while_its_result_was_to_be_dropped_is_kept(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await to_generating(account)
        await cancel(account, keep=False)
        await account.enqueue("a", 1)
        [view] = await account.ledger.views([PHOTO])
        assert view.cancel is None

    tell(story)


def test_a_changed_request_that_waits_behind_a_paid_job_is_withdrawn_with_it(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await to_generating(account)
        await account.enqueue("a", 1, style="coastal")
        assert await cancel(account) == [CancelVerdict.KEPT]
        await account.settle(await next_photo(account), Stage.DONE, release_slot=True)
        assert await stage_of(account) is Stage.DONE
        assert await account.dispatch() == ()

    tell(story)


def test_a_cancellation_that_meets_another_order_announces_that_order(tell: Tell) -> None:
    """The message is made before the script runs; when the photo was ordered anew in between, it is made again."""

    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        control = Control(account.ledger)
        args = await control._cancel_args([PHOTO], keep=True)
        account.push(1)
        await account.enqueue("a", 1, style="coastal")
        assert (await account.ledger.scripts.call("worker.ledger.lua", "cancel", args))[0] == "changed"
        assert await account.events() == []
        assert await cancel(account) == [CancelVerdict.WITHDRAWN]
        [view] = await account.ledger.views([PHOTO])
        assert json.loads((await account.events())[0])["data"]["fingerprint"] == view.fingerprint

    tell(story)


def test_many_photos_are_found_by_partner_and_withdrawn_wherever_they_wait(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 150, partner="acme")
        await account.enqueue("b", 5, partner="other")
        await account.advance(Stage.ACCEPTED, until=Stage.INGESTING)
        await account.dispatch()
        stages = {Stage.ACCEPTED, Stage.INGESTING, Stage.INGESTED}
        found = [name async for name, _ in find_photos(account.ledger, stages=stages, partner="acme")]
        assert len(found) == 150
        assert set(await cancel(account, *found)) == {CancelVerdict.WITHDRAWN}
        snapshot = await account.snapshot()
        assert snapshot.partners["acme"] == {Stage.CANCELLED: 150}
        assert sum(snapshot.partners["other"].values()) == 5
        left = [await account.redis.zscore("sc1:{default}:leases", photo_key(*name)) for name in found]
        assert set(left) == {None}

    tell(story)


def test_a_withdrawn_create_whose_grant_was_asked_for_twice_is_still_one_or_the_other(tell: Tell) -> None:
    """redis-py repeats a command after a time-out: the repeated question must not be granted after the withdrawal."""

    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 2)
        await account.advance(Stage.ACCEPTED, until=Stage.INGESTED)
        first, second = [await account.take(sent) for sent in await account.dispatch()]
        more = {"takes_slot": True, "intent": {"body": "{}", "idempotency_key": "k"}, "stage": Stage.CREATING}
        assert isinstance(await account.admit(first, Route.GENERATIONS, **more), Granted)
        names = [(photo.listing_id, photo.photo_id) for photo in (first, second)]
        assert await cancel(account, *names) == [CancelVerdict.KEPT, CancelVerdict.WITHDRAWN]
        assert isinstance(await account.admit(first, Route.GENERATIONS, **more), Granted), "the same grant again"
        assert isinstance(await account.admit(second, Route.GENERATIONS, **more), Stale)
        assert (await account.snapshot()).slots_used == 1

    tell(story)
