"""Two accounts on one Redis: budgets, slots, pauses, leads and restarts are each one's own."""

from __future__ import annotations

from tests.redis.conftest import Account, Tell
from worker.core.photo import Photo, Stage
from worker.core.routes import Route
from worker.core.step import Ending
from worker.flow.admission import Granted, Wait
from worker.flow.parking import PROBE_MS


async def begin(account: Account, count: int) -> list[Photo]:
    """Start an account with photos that are ready for a job."""
    await account.begin()
    await account.enqueue("elm", count)
    return await account.advance(Stage.ACCEPTED, until=Stage.INGESTED)


def test_an_account_that_has_spent_its_slots_and_budget_leaves_the_others(tell: Tell) -> None:
    async def story(north: Account) -> None:
        south = Account(north.redis, name="south", in_flight=5)
        await begin(north, 8)
        await begin(south, 8)
        for account in (north, south):
            creating = [await account.create(sent) for sent in await account.dispatch()]
            assert len(creating) == account.in_flight, "as many as its own slots"
        for account, slots in ((north, 3), (south, 5)):
            picture = await account.snapshot()
            used = next(budget for budget in picture.budgets if budget.route == "generations").used
            assert (picture.slots_used, used) == (slots, slots)

    tell(story, name="north", in_flight=3)


def test_the_same_record_in_two_accounts_is_two_photos(tell: Tell) -> None:
    async def story(north: Account) -> None:
        south = Account(north.redis, name="south")
        [mine], [theirs] = await begin(north, 1), await begin(south, 1)
        assert mine.key == theirs.key
        await north.enqueue("elm", 1, style="rustic")
        assert [view.revision for view in await north.ledger.listing("elm")] == [2]
        assert [(view.account, view.revision) for view in await south.ledger.listing("elm")] == [("south", 1)]

    tell(story, name="north")


def test_a_refused_key_pauses_its_account_alone_until_it_has_another(tell: Tell) -> None:
    async def story(north: Account) -> None:
        south = Account(north.redis, name="south")
        for account in (north, south):
            await account.begin()
            await account.enqueue("elm", 2)
        [first, second] = [await north.take(sent) for sent in await north.dispatch()]
        await north.parking.park("the key was refused")
        assert await north.admit(first, Route.SOURCE_ASSETS) == Wait(ms=2 * PROBE_MS)
        assert (await north.snapshot()).paused_reason == "the key was refused"
        assert (await south.snapshot()).paused_reason is None
        [theirs, _] = [await south.take(sent) for sent in await south.dispatch()]
        assert isinstance(await south.admit(theirs, Route.SOURCE_ASSETS), Granted)
        await north.parking.mended()
        assert (await north.snapshot()).paused_reason is None
        assert isinstance(await north.admit(first, Route.SOURCE_ASSETS), Granted)
        await north.settle(second, Stage.ACCEPTED, Ending.BACKLOG)

    tell(story, name="north")


def test_each_account_has_its_own_lead(tell: Tell) -> None:
    async def story(north: Account) -> None:
        south = Account(north.redis, name="south")
        for account in (north, south):
            await account.begin()
        await north.dispatch("worker-1")
        await south.dispatch("worker-2")
        assert await north.follows("worker-2")
        assert await south.follows("worker-1")

    tell(story, name="north")


def test_every_account_notices_that_redis_has_restarted(tell: Tell) -> None:
    """The restart shows in the empty script cache, which the first account's scripts fill again."""

    async def story(north: Account) -> None:
        south = Account(north.redis, name="south")
        for account in (north, south):
            await account.begin()
            await account.dispatch()
            await account.redis.set(f"sc1:{{{account.name}}}:boot", 0)
        await north.redis.script_flush()
        for account in (north, south):
            await account.dispatch()
            assert float(await account.redis.get(f"sc1:{{{account.name}}}:boot") or 0) > 0

    tell(story, name="north")
