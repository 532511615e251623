"""A parked account: one event however often it was refused, gentle probes, on trial before it goes on, no attempt."""

from __future__ import annotations

import json

from tests.redis.conftest import Account, Tell
from worker.core.events import ACCOUNT_PARKED, ACCOUNT_RESUMED
from worker.core.routes import Route
from worker.flow.admission import Granted, Wait
from worker.flow.parking import LONGEST_PROBE_MS, PROBE_MS, TRIAL_MS, ParkingState


async def kinds(account: Account) -> list[str]:
    return [json.loads(event)["type"] for event in await account.events()]


def test_an_account_is_parked_once_and_says_so_once(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 5)
        assert await account.parking.park("the key was revoked")
        account.push(1_000)
        assert not await account.parking.park("the key was revoked")
        [event] = [json.loads(event) for event in await account.events()]
        assert event["type"] == ACCOUNT_PARKED
        assert event["data"] == {"account": "default", "reason": "the key was revoked"}
        picture = await account.snapshot()
        assert picture.paused_reason == "the key was revoked"
        assert picture.parked is not None
        assert picture.parked.since_ms == account.clock_ms - 1_000
        assert await account.dispatch() == ()

    tell(story)


def test_only_a_probe_may_read_while_an_account_is_parked(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.parking.park("the key was revoked")
        usage = account.limits.budgets[Route.USAGE]
        assert isinstance(await account.admission.grant(usage, "one"), Wait)
        assert isinstance(await account.admission.grant(usage, "two", probe=True), Granted)

    tell(story)


def test_a_bad_probe_keeps_it_parked_and_two_good_ones_with_a_trial_between_let_it_go_on(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        await account.parking.park("the key was revoked")
        for _ in range(5):
            account.push(PROBE_MS)
            assert await account.parking.probed(good=False, reason="still revoked") is ParkingState.PARKED
            await account.beat("worker-1")
            assert await account.dispatch() == ()
        assert (await account.snapshot()).paused_reason == "still revoked"
        account.push(PROBE_MS)
        assert await account.parking.probed(good=False) is ParkingState.PARKED
        assert (await account.snapshot()).paused_reason == "still revoked", "the API was not reached: nothing is known"
        account.push(PROBE_MS)
        assert await account.parking.probed(good=True) is ParkingState.TRIAL
        await account.beat("worker-1")
        assert len(await account.dispatch()) == 1
        assert await account.parking.probed(good=True) is ParkingState.TRIAL, "the trial is not over"
        account.push(TRIAL_MS)
        assert await account.parking.probed(good=True) is ParkingState.RESUMED
        assert await account.parking.probed(good=True) is ParkingState.NONE
        assert await kinds(account) == [ACCOUNT_PARKED, ACCOUNT_RESUMED]
        assert (await account.snapshot()).parked is None

    tell(story)


def test_a_trial_that_is_refused_parks_it_again_for_longer_without_another_event(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.parking.park("not entitled")
        pauses = []
        for _ in range(8):
            account.push(LONGEST_PROBE_MS)
            assert await account.parking.probed(good=True) is ParkingState.TRIAL
            for _ in range(3):
                assert not await account.parking.park("not entitled")
            state = await account.parking.state()
            assert state is not None
            pauses.append(state.next_probe_ms - account.clock_ms)
        assert pauses[:3] == [2 * PROBE_MS, 4 * PROBE_MS, 8 * PROBE_MS], "once a trial, not once a refusal"
        assert pauses[-1] == LONGEST_PROBE_MS
        assert await kinds(account) == [ACCOUNT_PARKED]

    tell(story)


def test_a_duty_is_one_workers_at_a_time_and_comes_back_when_it_dies(tell: Tell) -> None:
    async def story(account: Account) -> None:
        duties = account.duties
        assert not await duties.take("books", "one", every_ms=1000, first_ms=500), "not yet"
        account.push(500)
        assert await duties.take("books", "one", every_ms=1000)
        assert await duties.take("books", "one", every_ms=1000), "renewed"
        assert not await duties.take("books", "two", every_ms=1000)
        account.push(30_000)
        assert await duties.take("books", "two", every_ms=1000), "the first one has died"
        assert not await duties.done("books", "one", again_ms=1000), "and knows it"
        assert await duties.done("books", "two", again_ms=1000)
        assert not await duties.take("books", "one", every_ms=1000)
        account.push(1000)
        assert await duties.take("books", "one", every_ms=1000)

    tell(story)
