"""Pausing: what is before its create waits, visibly; what is in flight goes on; resuming puts everything back."""

from __future__ import annotations

import pytest

from tests.redis.conftest import Account, Tell
from worker.core.photo import Photo, Stage, StepName
from worker.core.routes import Route
from worker.core.step import Ending
from worker.flow.admission import Granted, Stale, Wait
from worker.ledger.control import Control
from worker.ledger.pausing import Pauses
from worker.ledger.snapshot import Verdict
from worker.ledger.verdicts import CancelVerdict, PauseVerdict, RegenerateVerdict, ResumeVerdict
from worker.pipeline.interruption import interruption

PHOTO = ("a", "photo-0")
BEFORE_ITS_CREATE = [Stage.ACCEPTED, Stage.INGESTING, Stage.INGESTED]


async def pause(account: Account) -> PauseVerdict:
    [answer] = await Pauses(account.ledger).pause([PHOTO], reason="the owner asked", by="ada@desk")
    return answer.verdict


async def resume(account: Account) -> tuple[ResumeVerdict, Stage | None]:
    [answer] = await Pauses(account.ledger).resume([PHOTO])
    return answer.verdict, answer.stage


async def next_photo(account: Account) -> Photo:
    [sent] = await account.dispatch()
    return await account.take(sent)


async def wait(account: Account, ms: int = 1_001) -> None:
    account.push(ms)
    await account.beat("worker-1")


@pytest.mark.parametrize("stage", BEFORE_ITS_CREATE)
@pytest.mark.parametrize("leased", [False, True])
def test_a_photo_before_its_create_is_parked_with_its_reason_and_comes_back_where_it_was(
    tell: Tell, stage: Stage, leased: bool
) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        if stage is not Stage.ACCEPTED:
            await account.advance(Stage.ACCEPTED, until=stage)
        photo = await next_photo(account) if leased else None
        assert await pause(account) is PauseVerdict.PARKED
        assert await pause(account) is PauseVerdict.ALREADY
        assert await account.dispatch() == ()
        if photo is not None:
            more = {"takes_slot": True, "stage": Stage.CREATING}
            assert isinstance(await account.admit(photo, Route.GENERATIONS, **more), Stale)
            assert not await account.settle(photo, Stage.DONE)
        [view] = await account.ledger.photos(Stage.PARKED)
        assert (view.error_code, view.error_message) == ("paused", "by ada@desk: the owner asked")
        assert await resume(account) == (ResumeVerdict.RESUMED, stage)
        assert await resume(account) == (ResumeVerdict.NOT_PAUSED, stage)
        await wait(account)
        photo = await next_photo(account)
        assert (photo.stage, photo.error_code) == (stage, None)
        assert (await account.snapshot()).stages == {stage: 1}

    tell(story)


def test_a_photo_in_flight_goes_on_to_be_stored(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        await account.advance(Stage.ACCEPTED, until=Stage.INGESTED)
        [sent] = await account.dispatch()
        photo = await account.create(sent)
        assert await pause(account) is PauseVerdict.IN_FLIGHT
        assert await account.settle(photo, Stage.GENERATING, fields={"job_id": "j"})
        photo = await next_photo(account)
        assert interruption(photo) is None
        await account.settle(photo, Stage.DONE, release_slot=True)
        assert await pause(account) is PauseVerdict.ENDED

    tell(story)


def test_a_paused_photo_whose_create_was_refused_after_all_is_parked_and_not_sent_again(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        await account.advance(Stage.ACCEPTED, until=Stage.INGESTED)
        [sent] = await account.dispatch()
        photo = await account.create(sent)
        await pause(account)
        await account.settle(photo, Stage.INGESTED, Ending.BACKLOG, release_slot=True)
        photo = await next_photo(account)
        step = interruption(photo)
        assert step is not None
        assert await account.ledger.settle(photo, step)
        [view] = await account.ledger.photos(Stage.PARKED)
        assert view.error_message == "by ada@desk: the owner asked"
        assert await resume(account) == (ResumeVerdict.RESUMED, Stage.INGESTED)
        assert interruption(await next_photo(account)) is None

    tell(story)


def test_photos_that_come_to_a_paused_listing_are_parked_and_resumed_with_it(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        pauses = Pauses(account.ledger)
        assert await pauses.pause_listing("a", reason="sold") == []
        [answer] = await account.enqueue("a", 1)
        assert (answer.verdict, answer.stage) == (Verdict.ACCEPTED, Stage.PARKED)
        await account.enqueue("b", 1)
        assert [sent.label for sent in await account.dispatch()] == ["b/photo-0"]
        assert (await account.snapshot()).paused_listings == 1
        [answer] = await account.enqueue("a", 1, style="coastal")
        assert (answer.verdict, answer.stage) == (Verdict.REVISED, Stage.PARKED)
        [resumed] = await pauses.resume_listing("a")
        assert (resumed.verdict, resumed.stage) == (ResumeVerdict.RESUMED, Stage.ACCEPTED)
        assert (await next_photo(account)).request.style_preset == "coastal"
        assert (await account.snapshot()).paused_listings == 0

    tell(story)


def test_another_picture_of_a_photo_of_a_paused_listing_waits_too(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        await account.settle(await next_photo(account), Stage.DONE, fields={"job_id": "first"})
        pauses = Pauses(account.ledger)
        await pauses.pause_listing("a")
        [answer] = await Control(account.ledger).regenerate([PHOTO])
        assert (answer.verdict, answer.stage) == (RegenerateVerdict.ASKED, Stage.PARKED)
        assert await account.dispatch() == ()
        await pauses.resume_listing("a")
        photo = await next_photo(account)
        assert (photo.stage, photo.regeneration) == (Stage.INGESTED, 1)

    tell(story)


def test_a_changed_request_of_a_paused_photo_stays_paused(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        await pause(account)
        [answer] = await account.enqueue("a", 1, style="coastal")
        assert (answer.verdict, answer.stage) == (Verdict.REVISED, Stage.PARKED)
        [view] = await account.ledger.photos(Stage.PARKED)
        assert view.error_message == "by ada@desk: the owner asked"

    tell(story)


def test_a_parked_photo_can_be_cancelled(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        await pause(account)
        [answer] = await Control(account.ledger).cancel([PHOTO])
        assert answer.verdict is CancelVerdict.WITHDRAWN
        assert await account.ledger.photos(Stage.PARKED) == []
        assert await resume(account) == (ResumeVerdict.NOT_PAUSED, Stage.CANCELLED)

    tell(story)


def test_what_is_parked_for_another_reason_is_not_released_by_resume(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        await account.ledger.scripts.call(
            "worker.ledger.lua", "pause", [account.ledger.clock, OVER_CAP, *await keys(account)]
        )
        assert await resume(account) == (ResumeVerdict.NOT_PAUSED, Stage.PARKED)
        assert await pause(account) is PauseVerdict.PARKED
        [view] = await account.ledger.photos(Stage.PARKED)
        assert view.error_code == "cap"

    tell(story)


OVER_CAP = '{"why":"cap","note":"over the cap","by":""}'


async def keys(account: Account) -> list[str]:
    return [view.key for view in await account.ledger.listing("a")]


def test_a_replay_leaves_paused_photos_alone(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        await pause(account)
        assert await account.ledger.replay(await keys(account)) == 0

    tell(story)


@pytest.mark.parametrize("whole", [True, False])
def test_a_paused_partner_or_account_sends_nothing_new_and_goes_on_when_resumed(tell: Tell, whole: bool) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        pauses = Pauses(account.ledger)
        await account.enqueue("a", 3, partner="acme")
        await account.enqueue("b", 3, partner="other")
        if whole:
            assert await pauses.pause_account(reason="month's end", by="ada")
            assert not await pauses.pause_account(reason="month's end", by="ada")
        else:
            assert await pauses.pause_partner("acme", reason="month's end", by="ada")
        labels = {sent.label.partition("/")[0] for sent in await account.dispatch()}
        assert labels == (set() if whole else {"b"})
        [shown] = (await account.snapshot()).pauses
        who = "the account" if whole else "partner acme"
        assert str(shown) == f"{who} is paused by ada: month's end"
        await wait(account)
        assert await account.dispatch() == ()
        assert await (pauses.resume_account() if whole else pauses.resume_partner("acme"))
        await wait(account)
        labels = {sent.label.partition("/")[0] for sent in await account.dispatch()}
        assert labels == ({"a", "b"} if whole else {"a"})
        assert (await account.snapshot()).pauses == ()
        assert not await (pauses.resume_account() if whole else pauses.resume_partner("acme"))

    tell(story)


@pytest.mark.parametrize("stage", [Stage.ACCEPTED, Stage.INGESTED])
def test_no_call_is_granted_after_the_pause_was_answered_also_to_who_has_the_lease(tell: Tell, stage: Stage) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1, partner="acme")
        if stage is Stage.INGESTED:
            await account.advance(Stage.ACCEPTED, until=Stage.INGESTED)
        photo = await next_photo(account)
        await Pauses(account.ledger).pause_partner("acme")
        assert isinstance(await account.admit(photo, Route.GENERATIONS, takes_slot=True), Wait)
        await account.settle(photo, stage, Ending.BACKLOG)
        assert await account.dispatch() == ()
        await wait(account)
        assert await account.dispatch() == (), "what waits for a time is held too"
        await Pauses(account.ledger).resume_partner("acme")
        await wait(account)
        assert (await next_photo(account)).stage is stage

    tell(story)


def test_an_unanswered_create_of_a_paused_partner_is_repeated_and_its_job_is_read(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1, partner="acme")
        await account.advance(Stage.ACCEPTED, until=Stage.INGESTED)
        [sent] = await account.dispatch()
        photo = await account.create(sent)
        await Pauses(account.ledger).pause_partner("acme")
        await account.settle(photo, Stage.CREATING, Ending.RETRY)
        [sent] = await account.dispatch()
        assert sent.step is StepName.CREATE_GENERATION
        photo = await account.take(sent)
        more = {"takes_slot": True, "stage": Stage.CREATING}
        assert isinstance(await account.admit(photo, Route.GENERATIONS, **more), Granted)
        await account.settle(photo, Stage.GENERATING, fields={"job_id": "j"})
        [sent] = await account.dispatch()
        assert sent.step is StepName.POLL_GENERATION

    tell(story)


def test_what_a_paused_partner_has_ready_keeps_nobody_else_from_being_made_ready(tell: Tell) -> None:
    """While the slots are full no turn looks at the paused partner; the look-ahead must not be full of it either."""

    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("busy", 1, partner="other")
        await account.advance(Stage.ACCEPTED, until=Stage.INGESTED)
        [sent] = await account.dispatch()
        await account.settle(await account.create(sent), Stage.GENERATING, fields={"job_id": "j"}, delay_ms=3_600_000)
        await account.enqueue("a", 2, partner="acme")
        await account.advance(Stage.ACCEPTED, until=Stage.INGESTED)
        await account.enqueue("b", 2, partner="other")
        assert await account.dispatch() == (), "the look-ahead is full"
        await Pauses(account.ledger).pause_partner("acme")
        for _ in range(3):
            await wait(account)
            sent_out = await account.dispatch()
            assert {sent.label.partition("/")[0] for sent in sent_out} == {"b"}
            for sent in sent_out:
                await account.settle(await account.take(sent), Stage.ACCEPTED, Ending.WAIT, delay_ms=0)
        await Pauses(account.ledger).resume_partner("acme")
        await wait(account)
        assert await account.dispatch() == ()

    tell(story, look_ahead=2, in_flight=1)
