"""The limits in force: what the API reports and what is learnt from refusals, within what the settings fix."""

from __future__ import annotations

from tests.redis.conftest import API_WINDOW_MS, GUARD_MS, WINDOW_MS, Account, Tell
from worker.core.photo import Stage, StepName
from worker.core.routes import Route
from worker.core.step import Ending
from worker.flow.admission import Granted, Wait

STEP_MS = 500


def test_what_the_api_reports_is_in_force_for_the_whole_fleet_at_once(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 9)
        changed = await account.admission.report({"source_assets": "4/9s", "in_flight": "2"}, speed=1)
        assert sorted(changed) == ["in_flight", "source_assets"]
        assert len(await account.dispatch()) == 4
        snapshot = await account.snapshot()
        budget = next(budget for budget in snapshot.budgets if budget.route == "source_assets")
        assert (budget.count, budget.window_ms, snapshot.slots_cap) == (4, WINDOW_MS, 2)
        assert (await account.cadence.limits()).in_flight == 2

    tell(story)


def test_a_limit_that_is_set_wins_over_what_is_reported(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 9)
        reported = {"source_assets": "4/9s", "in_flight": "2", "generations": "5/9s"}
        assert await account.admission.report(reported, speed=1) == ["generations"]
        assert len(await account.dispatch()) == 9
        assert (await account.snapshot()).slots_cap == account.in_flight

    tell(story, fixed=frozenset({"source_assets", "in_flight"}))


def test_a_limit_that_is_no_longer_reported_falls_back_to_the_settings(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.admission.report({"in_flight": "2"}, speed=1)
        assert await account.admission.report({"in_flight": "2"}, speed=1) == []
        assert await account.admission.report({}, speed=1) == ["in_flight"]
        assert (await account.snapshot()).slots_cap == account.in_flight

    tell(story)


def test_a_reported_cap_holds_for_creates_that_are_asked_for_one_by_one(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 3)
        await account.advance(Stage.ACCEPTED, until=Stage.INGESTED)
        out = await account.dispatch()
        await account.admission.report({"in_flight": "1"}, speed=1)
        answers = [await account.admit(await account.take(sent), Route.GENERATIONS, takes_slot=True) for sent in out]
        assert [type(answer) for answer in answers] == [Granted, Wait, Wait]

    tell(story)


async def _starve(account: Account) -> None:
    """Let ingests wait for their reads while slots and creates are free."""
    account.push(STEP_MS)
    await account.beat("worker-1")
    for sent in await account.dispatch():
        if sent.step is StepName.POLL_INGEST:
            read = account.limits.budgets[Route.INGEST_READS]
            batch = await account.ledger.open(sent.step, [(sent.key, sent.token)], read)
            [opened] = batch.opened
            await account.settle(opened.photo, Stage.INGESTING, Ending.WAIT, delay_ms=1)


def _ingest_reads(account: Account) -> int:
    return account.limits.budgets[Route.INGEST_READS].count


async def _count_in_force(account: Account) -> int:
    snapshot = await account.snapshot()
    return next(budget.count for budget in snapshot.budgets if budget.route == "ingest_reads")


def test_the_budget_of_ingest_reads_grows_while_it_keeps_slots_empty_until_it_is_refused(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 10)
        await account.advance(Stage.ACCEPTED, until=Stage.INGESTING)
        for _ in range(4 * WINDOW_MS // STEP_MS):
            await _starve(account)
        grown = await _count_in_force(account)
        assert grown > _ingest_reads(account)
        await account.admission.refused(Route.INGEST_READS.value, 1_000)
        fallen = await _count_in_force(account)
        assert fallen < grown
        for _ in range(4 * WINDOW_MS // STEP_MS):
            await _starve(account)
        assert await _count_in_force(account) == fallen, "after a refusal it rests"

    tell(story, limit=100, ingest_reads=30)


def test_the_budget_of_ingest_reads_stays_while_it_holds_nothing_up(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 4)
        await account.advance(Stage.ACCEPTED, until=Stage.INGESTING)
        for _ in range(3 * (API_WINDOW_MS + GUARD_MS) // STEP_MS):
            account.push(STEP_MS)
            await account.beat("worker-1")
            for sent in await account.dispatch():
                await account.settle(await account.take(sent), Stage.INGESTING, Ending.WAIT, delay_ms=2_000)
        assert await _count_in_force(account) == _ingest_reads(account)

    tell(story)


def test_the_budget_of_ingest_reads_does_not_grow_when_the_settings_fix_it(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 10)
        await account.advance(Stage.ACCEPTED, until=Stage.INGESTING)
        for _ in range(4 * WINDOW_MS // STEP_MS):
            await _starve(account)
        assert await _count_in_force(account) == _ingest_reads(account)

    tell(story, limit=100, ingest_reads=30, fixed=frozenset({"ingest_reads"}))


def test_the_budget_of_ingest_reads_does_not_grow_past_what_the_api_reports(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 10)
        await account.advance(Stage.ACCEPTED, until=Stage.INGESTING)
        await account.admission.report({"ingest_reads": "30/9s"}, speed=1)
        for _ in range(4 * WINDOW_MS // STEP_MS):
            await _starve(account)
        assert await _count_in_force(account) == _ingest_reads(account)

    tell(story, limit=100, ingest_reads=30)
