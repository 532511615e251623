"""How long what waits has been waiting, by heads of sorted sets alone."""

from __future__ import annotations

from tests.redis.conftest import Account, Tell
from worker.core.photo import Stage, StepName
from worker.core.step import Ending, Step
from worker.ledger.ages import Ages, Waiting, read_ages


async def ages(account: Account) -> Ages:
    return await read_ages(account.ledger.scripts, clock=str(account.clock_ms))


def test_an_account_without_photos_has_no_ages(tell: Tell) -> None:
    async def story(account: Account) -> None:
        found = await ages(account)
        assert found.backlogs == {}
        assert set(found.held.values()) == set(found.overdue.values()) == {0}

    tell(story)


def test_a_backlog_is_as_old_as_the_oldest_photo_of_its_partner_in_any_priority(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("old", 2, partner="acme", priority=0)
        account.push(5_000)
        await account.enqueue("new", 1, partner="acme", priority=9)
        await account.enqueue("other", 1, partner="globex")
        account.push(2_000)
        assert (await ages(account)).backlogs == {
            ("source", "acme"): Waiting(photos=3, oldest_ms=7_000),
            ("source", "globex"): Waiting(photos=1, oldest_ms=2_000),
        }

    tell(story)


def test_a_paused_partners_photos_are_still_counted_when_they_have_left_the_ring(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 2, partner="acme")
        await account.redis.hset(f"{account.ledger.scripts.root}paused", "partner:acme", "{}")  # type: ignore[misc]
        assert await account.dispatch() == ()
        account.push(1_000)
        assert (await ages(account)).backlogs == {("source", "acme"): Waiting(photos=2, oldest_ms=1_000)}

    tell(story)


def test_held_photos_and_late_steps_tell_their_age(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 2)
        first, second = await account.dispatch()
        await account.ledger.settle(
            await account.take(first),
            Step(ending=Ending.FAIL, stage=Stage.UNCERTAIN, error_code="x", error_message="y"),
        )
        await account.ledger.settle(
            await account.take(second), Step(ending=Ending.WAIT, stage=Stage.INGESTING, delay_ms=4_000)
        )
        account.push(1_000)
        found = await ages(account)
        assert (found.held[Stage.UNCERTAIN], found.overdue[StepName.POLL_INGEST]) == (1_000, 0)
        account.push(9_000)
        found = await ages(account)
        assert (found.held[Stage.UNCERTAIN], found.overdue[StepName.POLL_INGEST]) == (10_000, 6_000)

    tell(story)
