"""Flow control: exact budgets, slots that belong to photos, fair turns, one leader, hands, restarts."""

from __future__ import annotations

import random

import pytest

from tests.redis.conftest import API_WINDOW_MS, GUARD_MS, LEASE_MS, WINDOW_MS, Account, Tell
from worker.core.durations import WEIGHT
from worker.core.photo import Photo, Stage, StepName
from worker.core.routes import Route
from worker.core.step import Ending
from worker.flow.admission import Granted, Wait


@pytest.mark.parametrize("seed", range(3))
def test_a_budget_holds_in_every_sliding_window(tell: Tell, seed: int) -> None:
    """Grants are asked for as fast as they can be; each call comes in at its own time within the guard.

    What counts is when calls come in at the API, in any of its windows: some are over soon after, some are answered
    late, some are never heard of again.
    """

    async def story(account: Account) -> None:
        dice = random.Random(seed)
        await account.begin(hands=1000)
        await account.enqueue("a", 100)
        came_in: list[int] = []
        open_calls: list[tuple[int, Photo]] = []
        while len(came_in) < 100:
            account.push(dice.randrange(1, 400))
            await account.beat("worker-1", hands=1000)
            for over_ms, photo in list(open_calls):
                if over_ms <= account.clock_ms:
                    await account.renew(photo)
                    await account.settle(photo, Stage.DONE)
                    open_calls.remove((over_ms, photo))
            for photo in [await account.take(sent) for sent in await account.dispatch()]:
                answer = await account.admit(photo, Route.SOURCE_ASSETS)
                if not isinstance(answer, Granted):
                    await account.settle(photo, Stage.ACCEPTED, Ending.BACKLOG, delay_ms=0)
                    continue
                arrival = account.clock_ms + dice.randrange(GUARD_MS)
                came_in.append(arrival)
                open_calls.append((arrival + dice.choice([1, 40, 3_000, 10**9]), photo))
            for _, photo in open_calls:
                await account.renew(photo)
        for start in came_in:
            assert sum(start <= time < start + API_WINDOW_MS for time in came_in) <= account.limit

    tell(story)


def test_a_call_that_is_over_gives_the_guard_back(tell: Tell) -> None:
    """A window is the API's own from the end of a call on, and longer by the guard for one that is still out."""

    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", account.limit)
        out = [await account.take(sent) for sent in await account.dispatch()]
        for photo in out:
            assert isinstance(await account.admit(photo, Route.SOURCE_ASSETS), Granted)
        account.push(30)
        await account.settle(out[0], Stage.DONE)
        await account.enqueue("b", 2)
        account.push(API_WINDOW_MS)
        for photo in out[1:]:
            await account.renew(photo)
        await account.beat("worker-1")
        assert await account.dispatch() == ()
        account.push(1)
        assert len(await account.dispatch()) == 1

    tell(story)


def test_asking_twice_with_one_token_spends_one_grant(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        [sent] = await account.dispatch()
        photo = await account.take(sent)
        for _ in range(3):
            assert isinstance(await account.admit(photo, Route.SOURCE_ASSETS), Granted)
        budget = next(b for b in (await account.snapshot()).budgets if b.route == "source_assets")
        assert (budget.used, budget.granted_total) == (1, 1)

    tell(story)


def test_all_limits_of_a_call_are_taken_together_or_none(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 2)
        await account.admission.refused(Route.SOURCE_FETCHES.value, 5_000)
        first, _ = [await account.take(sent) for sent in await account.dispatch()]
        both = [account.limits.budgets[Route.SOURCE_ASSETS], account.limits.budgets[Route.SOURCE_FETCHES]]
        assert await account.admission.admit(first, both) == Wait(ms=5_000)
        budget = next(b for b in (await account.snapshot()).budgets if b.route == "source_assets")
        assert budget.used == 0

    tell(story)


def test_no_more_slots_are_taken_than_the_cap_and_only_a_settled_end_gives_one_back(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 6)
        await account.advance(Stage.ACCEPTED, until=Stage.INGESTED)
        creating = [await account.create(sent) for sent in await account.dispatch()]
        assert len(creating) == account.in_flight
        account.push(10 * LEASE_MS)
        await account.beat("worker-1")
        again = await account.dispatch()
        assert {sent.key for sent in again} == {photo.key for photo in creating}, (
            "the leases ran out, the slots did not"
        )
        photos = [await account.take(sent) for sent in again]
        assert (await account.snapshot()).slots_used == account.in_flight
        await account.settle(photos[0], Stage.FAILED, Ending.FAIL, release_slot=True, error_code="c", error_message="m")
        [sent] = await account.dispatch()
        assert sent.step is StepName.CREATE_GENERATION
        assert sent.key not in {photo.key for photo in creating}

    tell(story)


def test_an_unanswered_create_is_visible_as_creating_with_its_bytes_and_key(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        await account.advance(Stage.ACCEPTED, until=Stage.INGESTED)
        [sent] = await account.dispatch()
        await account.create(sent)
        sent_ms = account.clock_ms
        assert (await account.snapshot()).stages == {Stage.CREATING: 1}
        account.push(LEASE_MS + 1)
        await account.beat("worker-1")
        [sent] = await account.dispatch()
        photo = await account.create(sent)
        assert (photo.stage, photo.body, photo.idempotency_key) == (Stage.CREATING, "{}", "k")
        assert photo.sent_ms == sent_ms, "the 23 hours begin with the first send"

    tell(story)


def test_priorities_come_first_and_partners_take_turns_within_one(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("large", 40, partner="large")
        await account.enqueue("small", 3, partner="small")
        await account.enqueue("urgent", 2, partner="large", priority=9)
        first = [sent.label.partition("/")[0] for sent in await account.dispatch()]
        assert len(first) == account.limit
        assert first[:2] == ["urgent", "urgent"]
        assert first[2:].count("small") == 3, "three of eight: a turn each, not forty before"

    tell(story)


def test_what_waits_long_enough_gets_a_turn_in_four_before_higher_priorities(tell: Tell) -> None:
    """Urgent photos of today stay urgent behind a backlog of last week, and that backlog goes on all the same."""

    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("old", 20, priority=0)
        account.push(10 * 600_000)
        await account.enqueue("new", 20, priority=9)
        await account.beat("worker-1")
        sent = [sent.label.partition("/")[0] for sent in await account.dispatch()]
        assert sent == ["new", "new", "new", "old"] * 2 + ["new", "new"]

    tell(story)


def test_a_partner_of_more_weight_has_more_turns(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        for partner in ("heavy", "light", "other"):
            await account.enqueue(partner, 40, partner=partner)
        sent = [sent.label.partition("/")[0] for sent in await account.dispatch()]
        assert {name: sent.count(name) for name in ("heavy", "light", "other")} == {"heavy": 18, "light": 6, "other": 6}

    tell(story, limit=30, weights={"heavy": 3})


def test_photos_of_a_partner_go_in_the_order_of_their_record(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 8)
        assert [sent.label for sent in await account.dispatch()] == [f"a/photo-{number}" for number in range(8)]

    tell(story)


def test_a_partner_that_comes_back_has_saved_up_no_turns(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("rare", 1, partner="rare")
        await account.enqueue("large", 100, partner="large")
        await account.advance(Stage.ACCEPTED, until=Stage.DONE)
        account.push(WINDOW_MS + 1)
        await account.beat("worker-1")
        await account.enqueue("rare again", 10, partner="rare")
        sent = [sent.label.partition("/")[0] for sent in await account.dispatch()]
        assert sent.count("large") == sent.count("rare again") == 5

    tell(story, look_ahead=1000)


def test_no_more_is_sent_out_than_the_fleet_has_hands_for(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin(hands=2)
        await account.enqueue("a", 8)
        assert len(await account.dispatch()) == 2
        assert await account.dispatch() == ()
        await account.beat("worker-2", hands=3)
        assert len(await account.dispatch()) == 3
        await account.beat("worker-2", hands=0)
        assert [worker.name for worker in (await account.snapshot()).workers] == ["worker-1"]

    tell(story)


def test_one_worker_leads_and_another_takes_over_when_it_goes(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.dispatch("worker-1")
        assert await account.follows("worker-2")
        await account.beat("worker-1", hands=0)
        assert not await account.follows("worker-2")
        assert await account.follows("worker-1")

    tell(story)


def test_the_look_ahead_keeps_the_rest_of_the_backlog_as_rows(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 9)
        assert len(await account.advance(Stage.ACCEPTED, until=Stage.INGESTING)) == 4
        assert {sent.step for sent in await account.dispatch()} == {StepName.POLL_INGEST}

    tell(story, look_ahead=4)


def test_a_refused_route_is_paused_for_the_whole_fleet(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        await account.admission.refused(Route.SOURCE_ASSETS.value, 7_000)
        assert await account.dispatch() == ()
        account.push(7_001)
        await account.beat("worker-1")
        assert len(await account.dispatch()) == 1

    tell(story)


def test_a_refusal_for_jobs_in_flight_lowers_the_cap_and_it_is_probed_back_up(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 3)
        await account.advance(Stage.ACCEPTED, until=Stage.INGESTED)
        for sent in await account.dispatch():
            await account.create(sent)
        await account.admission.refused(Route.GENERATIONS.value, 1_000, in_flight=True)
        assert (await account.snapshot()).slots_cap == account.in_flight - 1
        account.push(10_001)
        await account.beat("worker-1")
        await account.dispatch()
        assert (await account.snapshot()).slots_cap == account.in_flight

    tell(story)


def test_a_paused_account_says_why_and_sends_nothing(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        assert await account.parking.park("the key was revoked")
        assert (await account.snapshot()).paused_reason == "the key was revoked"
        assert await account.dispatch() == ()

    tell(story)


@pytest.mark.parametrize("job_ms", [30_000, 64_123, 1])
def test_durations_of_jobs_are_learnt_and_the_latest_count_most(tell: Tell, job_ms: int) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        [sent] = await account.dispatch()
        photo = await account.take(sent)
        kinds = ("staging:photo", "all")
        await account.settle(photo, Stage.GENERATING, duration_ms=job_ms, duration_kinds=kinds)
        learnt = [await account.cadence.learnt(kind) for kind in kinds]
        assert learnt[0] == learnt[1]
        [(bucket, weight)] = learnt[0].weights
        assert weight == WEIGHT
        assert 2 ** (bucket / 8) <= job_ms < 2 ** ((bucket + 1) / 8)

    tell(story)


def test_reads_are_granted_when_the_lease_is_opened_and_spread_over_their_window(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 3)
        await account.advance(Stage.ACCEPTED, until=Stage.INGESTED)
        for sent in await account.dispatch():
            await account.settle(await account.create(sent), Stage.GENERATING, fields={"job_id": "j"})
        reads = await account.dispatch()
        assert len(reads) == 1, "ten in ten seconds: one now, not three at once"
        batch = await account.ledger.open(
            StepName.POLL_GENERATION,
            [(sent.key, sent.token) for sent in reads],
            account.limits.budgets[Route.GENERATION_READS],
        )
        assert [opened.wait_ms for opened in batch.opened] == [0]
        account.push(1_000)
        assert len(await account.dispatch()) == 1

    tell(story)
