"""Webhooks that come before their job is known here: found by reference, or kept until a photo has the job."""

from __future__ import annotations

import pytest

from tests.redis.conftest import Account, Tell
from tests.redis.jobs import FAR_MS, ROOT, creating, generating, next_photo, nothing_left
from worker.core.photo import Stage
from worker.core.step import Ending
from worker.katalo.notice import FAILED
from worker.ledger.inbox import KEPT_MS, Outcome


def test_a_webhook_that_overtakes_the_creates_own_answer_finds_its_photo_by_reference(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        sender = await creating(account)
        account.push(3_000)
        assert await account.hear("j", reference="k") is Outcome.APPLIED
        answered = {"job_id": "j", "created_ms": str(account.clock_ms)}
        assert not await account.settle(sender, Stage.GENERATING, fields=answered), "the create's answer comes second"
        stored = await next_photo(account)
        assert (stored.stage, stored.job_id, stored.body) == (Stage.STORING, "j", None)
        assert stored.created_ms == account.clock_ms - 3_000, "when it was sent"
        await account.settle(stored, Stage.ANNOUNCING)
        await nothing_left(account)

    tell(story)


def test_a_create_whose_answer_is_lost_is_not_repeated_once_a_webhook_named_its_job(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        sender = await creating(account)
        await account.settle(sender, Stage.CREATING, Ending.RETRY, delay_ms=FAR_MS)
        assert await account.hear("j", FAILED, url=None, reference="k") is Outcome.READ
        photo = await next_photo(account)
        assert (photo.stage, photo.job_id, photo.sent_ms) == (Stage.GENERATING, "j", None)
        assert (await account.snapshot()).slots_used == 1

    tell(story)


def test_an_uncertain_create_is_cleared_up_by_its_webhook(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        sender = await creating(account)
        await account.settle(sender, Stage.UNCERTAIN, Ending.FAIL, error_code="outcome_unknown", error_message="look")
        assert await account.hear("j", reference="k") is Outcome.APPLIED
        assert await account.ledger.photos(Stage.UNCERTAIN) == []
        photo = await next_photo(account)
        assert (photo.stage, photo.job_id, photo.error_code) == (Stage.STORING, "j", None)
        assert (await account.snapshot()).slots_used == 0

    tell(story)


def test_an_uncertain_create_whose_job_failed_is_read_with_a_slot(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        sender = await creating(account)
        await account.settle(sender, Stage.UNCERTAIN, Ending.FAIL, error_code="c", error_message="m", release_slot=True)
        assert await account.hear("j", FAILED, url=None, reference="k") is Outcome.READ
        assert (await account.snapshot()).slots_used == 1
        assert (await next_photo(account)).stage is Stage.GENERATING

    tell(story)


def test_a_reference_of_a_create_that_a_person_gave_up_leads_nowhere(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        sender = await creating(account)
        await account.settle(sender, Stage.UNCERTAIN, Ending.FAIL, error_code="c", error_message="m")
        assert await account.ledger.replay([sender.key], create_again=True) == 1
        assert await account.hear("j", reference="k") is Outcome.KEPT
        assert (await next_photo(account)).stage is Stage.ACCEPTED
        assert await account.redis.hgetall(f"{ROOT}jobs") == {}  # type: ignore[misc]

    tell(story)


def test_another_job_with_our_reference_is_kept_for_a_person_and_touches_nothing(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        photo = await generating(account)
        before = await account.row(photo)
        assert await account.hear("second", reference="k-j") is Outcome.KEPT
        assert await account.row(photo) == before
        [kept] = await account.inbox.kept()
        assert (kept.job_id, kept.reference, kept.since_ms) == ("second", "k-j", account.clock_ms)

    tell(story)


@pytest.mark.parametrize("failed", [False, True])
def test_news_of_an_unknown_job_wait_until_a_photo_has_it(tell: Tell, failed: bool) -> None:
    """As after a create that does not echo its reference, and after Redis was lost and a receipt was found."""

    async def story(account: Account) -> None:
        await account.begin()
        event, url = (FAILED, None) if failed else ("generation.completed", "https://api/kept")
        assert await account.hear("j", event, url=url, asset="src") is Outcome.KEPT
        await account.enqueue("a", 1)
        [sent] = await account.dispatch()
        fields = {"job_id": "j", "receipt_written": "1", "source_asset_id": "src"}
        found = await account.take(sent)
        assert await account.settle(found, Stage.GENERATING, fields=fields, adopt_slot=True, delay_ms=FAR_MS)
        assert await account.settle(found, Stage.GENERATING), "settling twice answers the same"
        photo = await next_photo(account)
        assert photo.stage is (Stage.GENERATING if failed else Stage.STORING)
        assert (await account.snapshot()).slots_used == int(failed)
        assert (await account.inbox.tally()).kept == 0
        assert await account.redis.exists(f"{ROOT}inbox:j") == 0

    tell(story)


def test_contradicting_news_of_an_unknown_job_make_it_be_read(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        assert await account.hear("j") is Outcome.KEPT
        assert await account.hear("j", FAILED, url=None) is Outcome.KEPT
        await generating(account)
        photo = await next_photo(account)
        assert (photo.stage, photo.outputs) == (Stage.GENERATING, None)

    tell(story)


def test_kept_news_are_bounded_by_number_and_time(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        for number in range(8):
            account.push(1)
            await account.hear(f"j{number}")
        assert [kept.job_id for kept in await account.inbox.kept()] == ["j7", "j6", "j5", "j4", "j3"]
        assert len(await account.redis.keys(f"{ROOT}inbox:*")) == 5
        assert 0 < await account.redis.pttl(f"{ROOT}inbox:j7") <= KEPT_MS
        account.push(KEPT_MS)
        await account.hear("new")
        assert [kept.job_id for kept in await account.inbox.kept()] == ["new"]

    tell(story, max_kept=5)


def test_a_webhook_without_a_job_tells_nothing_of_a_create_that_is_not_answered(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        sender = await creating(account)
        assert await account.hear(None, url=None, reference="k") is Outcome.IGNORED
        assert await account.settle(sender, Stage.GENERATING, fields={"job_id": "j"})

    tell(story)


def test_a_create_that_was_refused_leaves_no_trace_of_its_reference(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        sender = await creating(account)
        drop = ("body", "idempotency_key", "sent_ms")
        await account.settle(sender, Stage.INGESTED, Ending.BACKLOG, drop=drop, release_slot=True)
        assert await account.redis.hgetall(f"{ROOT}jobs") == {}  # type: ignore[misc]
        assert await account.hear("j", reference="k") is Outcome.KEPT

    tell(story)
