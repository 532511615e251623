"""Webhooks in the ledger: what a notice moves in one script, and what never goes back."""

from __future__ import annotations

import json

import pytest

from tests.redis.conftest import Account, Tell
from tests.redis.jobs import FAR_MS, ROOT, creating, generating, next_photo, nothing_left
from worker.core.photo import Stage, StepName
from worker.core.step import Ending
from worker.flow.cadence import ALL_JOBS
from worker.katalo.notice import FAILED
from worker.ledger.inbox import SILENT_AFTER, Outcome


def test_a_completed_job_is_stored_without_being_read(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        photo = await generating(account)
        account.push(3_000)
        await account.redis.delete(f"{ROOT}wake")
        assert await account.hear("j", url="https://api/signed") is Outcome.APPLIED
        assert await account.redis.llen(f"{ROOT}wake") == 1, "the leader looks at once"  # type: ignore[misc]
        assert (await account.snapshot()).slots_used == 0, "its slot is free"
        assert (await account.snapshot()).stages == {Stage.STORING: 1}
        stored = await next_photo(account)
        assert (stored.key, stored.stage, stored.job_id) == (photo.key, Stage.STORING, "j")
        assert json.loads(stored.outputs or "") == {"urls": [{"role": "primary", "url": "https://api/signed"}]}
        for kind in (stored.request.kind, ALL_JOBS):
            assert abs((await account.cadence.learnt(kind)).mean_ms() - 3_000) < 300, "its duration is learnt"
        await account.settle(stored, Stage.ANNOUNCING)
        await nothing_left(account)

    tell(story)


def test_a_running_read_of_a_job_that_a_webhook_ended_settles_nothing(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await generating(account)
        account.push(FAR_MS)
        await account.beat("worker-1")
        reading = await next_photo(account)
        assert reading.stage is Stage.GENERATING
        assert await account.hear("j") is Outcome.APPLIED
        assert not await account.settle(reading, Stage.FAILED, Ending.FAIL, error_code="c", error_message="m")
        assert await account.ledger.renew([(reading.key, reading.token)]) == {reading.key}
        assert (await account.snapshot()).stages == {Stage.STORING: 1}
        assert (await account.snapshot()).leases == 0

    tell(story)


def test_a_lease_that_was_sent_out_and_not_opened_is_taken_away_too(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await generating(account)
        account.push(FAR_MS)
        await account.beat("worker-1")
        [sent] = await account.dispatch()
        await account.hear("j")
        assert (await account.ledger.open(sent.step, [(sent.key, sent.token)])).opened == ()
        assert await account.redis.zcard(f"{ROOT}unadmitted:poll_generation") == 0

    tell(story)


def test_the_same_webhook_again_changes_nothing(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        photo = await generating(account)
        assert await account.hear("j") is Outcome.APPLIED
        before = await account.row(photo)
        assert [await account.hear("j", url="https://api/other") for _ in range(2)] == [Outcome.DUPLICATE] * 2
        assert await account.row(photo) == before
        tally = await account.inbox.tally()
        assert (tally.outcomes[Outcome.APPLIED], tally.outcomes[Outcome.DUPLICATE], tally.kept) == (1, 2, 0)

    tell(story)


@pytest.mark.parametrize("event", ["generation.completed", FAILED, "generation.archived"])
def test_news_of_a_job_that_was_read_as_over_is_late_and_a_terminal_state_stays(tell: Tell, event: str) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await generating(account)
        account.push(FAR_MS)
        await account.beat("worker-1")
        await account.settle(await next_photo(account), Stage.STORING, release_slot=True)
        await account.settle(await next_photo(account), Stage.DONE)
        assert await account.hear("j", event) is Outcome.LATE
        assert (await account.snapshot()).stages == {Stage.DONE: 1}
        assert (await account.inbox.tally()).kept == 0

    tell(story)


@pytest.mark.parametrize(
    ("event", "url", "asset"),
    [
        (FAILED, None, None),
        ("generation.completed", None, None),
        ("generation.completed", "https://api/picture", "another"),
        ("generation.archived", None, "src"),
        ("", None, None),
    ],
    ids=["failed", "without outputs", "of another source", "unknown", "nameless"],
)
def test_any_other_news_make_the_job_be_read_now(tell: Tell, event: str, url: str | None, asset: str | None) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await generating(account)
        assert await account.hear("j", event, url=url, asset=asset) is Outcome.READ
        photo = await next_photo(account)
        assert (photo.stage, photo.job_id) == (Stage.GENERATING, "j")
        assert (await account.snapshot()).slots_used == 1, "the job says whether it is over"

    tell(story)


def test_a_read_that_runs_while_a_failure_is_told_is_done_again(tell: Tell) -> None:
    """It may have been answered before the job failed; its wait would be a long one."""

    async def story(account: Account) -> None:
        await account.begin()
        await generating(account)
        account.push(FAR_MS)
        await account.beat("worker-1")
        reading = await next_photo(account)
        assert await account.hear("j", FAILED, url=None) is Outcome.READ
        assert not await account.settle(reading, Stage.GENERATING, Ending.WAIT, delay_ms=FAR_MS)
        account.push(1_000)  # reads are paced
        assert (await next_photo(account)).stage is Stage.GENERATING

    tell(story)


def test_a_webhook_that_names_no_job_is_taken_and_reads_the_one_its_reference_leads_to(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await generating(account)
        assert await account.hear(None, url=None) is Outcome.IGNORED
        assert await account.hear(None, url=None, reference="nobody's") is Outcome.IGNORED
        assert await account.hear(None, url=None, reference="k-j") is Outcome.READ
        assert (await next_photo(account)).job_id == "j"

    tell(story)


def test_a_job_that_is_read_for_fresh_urls_is_not_given_its_webhooks_old_ones(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await generating(account)
        account.push(FAR_MS)
        await account.beat("worker-1")
        await account.settle(await next_photo(account), Stage.STORING, fields={"outputs": "{}"}, release_slot=True)
        fields = {"rereads": "1"}
        await account.settle(await next_photo(account), Stage.GENERATING, fields=fields, delay_ms=FAR_MS)
        assert await account.hear("j", url="https://api/old") is Outcome.LATE
        assert await account.dispatch() == ()

    tell(story)


def test_a_changed_request_that_waits_follows_after_the_webhooks_job(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await generating(account)
        await account.enqueue("a", 1, style="coastal")
        await account.hear("j")
        await account.settle(await next_photo(account), Stage.DONE, event='{"id":"first"}')
        photo = await next_photo(account)
        assert (photo.stage, photo.request.style_preset, photo.job_id) == (Stage.ACCEPTED, "coastal", None)
        await nothing_left_but_leases(account)

    async def nothing_left_but_leases(account: Account) -> None:
        assert await account.redis.hgetall(f"{ROOT}jobs") == {}  # type: ignore[misc]
        assert (await account.snapshot()).slots_used == 0

    tell(story)


def test_jobs_that_are_all_found_to_be_over_by_reading_say_that_webhooks_do_not_come(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        for number in range(SILENT_AFTER):
            assert not await account.inbox.silent()
            photo = await generating(account, f"j{number}", f"listing {number}")
            await account.hear("nobody's") if number == 0 else None
            account.push(FAR_MS)
            await account.beat("worker-1")
            reading = await next_photo(account)
            assert reading.key == photo.key
            await account.settle(
                reading, Stage.FAILED, Ending.FAIL, error_code="c", error_message="m", release_slot=True
            )
        assert await account.inbox.silent()
        await account.hear("anybody's")
        assert not await account.inbox.silent(), "they come again"

    tell(story)


def test_the_memory_of_news_is_bounded(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        old = {f"generation.completed old-{number}": number for number in range(20_000)}
        await account.redis.zadd(f"{ROOT}notices", old)
        await account.hear("j")
        assert await account.redis.zcard(f"{ROOT}notices") == 20_000
        assert await account.hear("j") is Outcome.DUPLICATE, "the newest are remembered"

    tell(story)


def test_every_step_of_a_photo_in_flight_is_one_that_a_webhook_may_overtake(tell: Tell) -> None:
    """The stages whose job may be open wait for exactly these steps."""

    async def story(account: Account) -> None:
        await account.begin()
        await generating(account, "j1", "a")
        sender = await creating(account, "k2", "b")
        account.push(FAR_MS)
        await account.beat("worker-1")
        assert {sent.step for sent in await account.dispatch()} <= {
            StepName.POLL_GENERATION,
            StepName.CREATE_GENERATION,
        }
        assert await account.hear("j1") is Outcome.APPLIED
        assert await account.hear("j2", reference="k2") is Outcome.APPLIED
        assert sender.key in {sent.key for sent in await account.dispatch()}
        for step in StepName:
            assert await account.redis.zcard(f"{ROOT}unadmitted:{step}") == (2 if step is StepName.STORE_OUTPUTS else 0)

    tell(story)
