"""Spend guards: a cap holds exactly, parks whole partners, and what waits goes on by itself when it moves."""

from __future__ import annotations

from tests.redis.conftest import START_MS, Account, Tell
from worker.core.photo import Photo, Stage, StepName
from worker.core.routes import Route
from worker.core.step import Ending
from worker.flow.admission import Granted, Stale, Wait
from worker.flow.caps import Cap, Caps
from worker.katalo.accounting import usage_of

DAY_MS = 86_400_000
#: Long enough for every budget's window to be free again.
A_WHILE_MS = 20_000


async def ask(account: Account, photo: Photo) -> Granted | Wait | Stale:
    """Ask for a create, as the pipeline does."""
    intent = {"body": "{}", "idempotency_key": photo.key}
    return await account.admit(photo, Route.GENERATIONS, takes_slot=True, intent=intent, stage=Stage.CREATING)


async def work(account: Account, rounds: int) -> int:
    """Let the fleet do all that it is allowed to; return how many photos were staged."""
    staged = 0
    for _ in range(rounds):
        account.push(A_WHILE_MS)
        await account.beat("worker-1", hands=1000)
        for sent in await account.dispatch():
            photo = await account.take(sent)
            if sent.step is StepName.INGEST_SOURCE:
                await account.settle(photo, Stage.INGESTED, fields={"source_asset_id": f"src-{photo.photo_id}"})
                continue
            assert sent.step is StepName.CREATE_GENERATION
            answer = await ask(account, photo)
            if isinstance(answer, Granted):
                fields = {"job_id": f"job-{photo.key}"}
                assert await account.settle(photo, Stage.DONE, fields=fields, release_slot=True)
                staged += 1
            else:
                assert isinstance(answer, Wait)
                await account.settle(photo, Stage.INGESTED, Ending.BACKLOG, delay_ms=answer.ms, requeue=answer.capped)
    return staged


def test_a_cap_of_a_hundred_a_day_stages_a_hundred_and_a_hundred_and_parks_the_rest(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin(hands=1000)
        await account.enqueue("a", 250)
        assert await work(account, 60) == 100
        picture = await account.snapshot()
        [capped] = picture.capped
        assert (capped.partner, capped.cap, capped.number, capped.waiting) == (None, "day", 100, 150)
        assert "the cap of 100 billable jobs a day is reached; 150 photos wait" in capped.describe()
        assert picture.bought_today == 100
        assert picture.slots_used == 0
        account.push(DAY_MS)
        assert await work(account, 60) == 100
        assert (await account.snapshot()).capped[0].waiting == 50
        account.push(DAY_MS)
        assert await work(account, 60) == 50
        picture = await account.snapshot()
        assert picture.capped == ()
        assert picture.stages == {Stage.DONE: 250}

    tell(story, limit=50, in_flight=50, caps=Caps(account=Cap(per_day=100)))


def test_a_day_is_utc_by_rediss_clock(tell: Tell) -> None:
    async def story(account: Account) -> None:
        account.push(DAY_MS - START_MS % DAY_MS - 100_000)
        await account.begin(hands=1000)
        await account.enqueue("a", 10)
        assert await work(account, 3) == 2
        assert (await account.snapshot()).capped[0].until_ms % DAY_MS == 0
        assert account.clock_ms % DAY_MS > DAY_MS - 100_000
        assert await work(account, 3) == 2, "midnight has passed"

    tell(story, caps=Caps(account=Cap(per_day=2)))


def test_a_capped_partner_is_left_out_and_its_backlog_is_not_touched(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin(hands=1000)
        await account.enqueue("large", 60, partner="large")
        assert await work(account, 12) == 5
        await account.enqueue("small", 20, partner="small")
        assert await work(account, 12) == 20, "the other partner has the whole budget, look-ahead included"
        picture = await account.snapshot()
        assert [(view.partner, view.number, view.waiting) for view in picture.capped] == [("large", 5, 55)]
        rows = await account.redis.keys("*p:*")
        touched = [row for row in rows if await account.redis.hget(row, "settled")]
        assert len(touched) <= 25 + account.look_ahead

    tell(story, look_ahead=6, in_flight=6, limit=6, caps=Caps(partners={"large": Cap(per_day=5)}))


def test_a_partner_without_a_cap_of_its_own_has_the_common_one(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin(hands=1000)
        for partner in ("one", "two", "vip"):
            await account.enqueue(partner, 10, partner=partner)
        assert await work(account, 12) == 3 + 3 + 7
        assert {view.partner for view in (await account.snapshot()).capped} == {"one", "two", "vip"}

    tell(story, limit=50, in_flight=50, caps=Caps(partner=Cap(per_day=3), partners={"vip": Cap(per_day=7)}))


def test_a_raised_cap_moves_at_once(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin(hands=1000)
        await account.enqueue("a", 10)
        assert await work(account, 6) == 2
        await with_caps(account, Caps(account=Cap(per_day=5)))
        assert await work(account, 6) == 3
        await with_caps(account, Caps())
        assert await work(account, 6) == 5
        assert (await account.snapshot()).capped == ()

    tell(story, caps=Caps(account=Cap(per_day=2)))


async def with_caps(account: Account, caps: Caps) -> None:
    """Go on with other settings, as after a restart of the workers."""
    from dataclasses import replace

    account.limits = replace(account.limits, caps=caps)
    account.admission.limits = account.limits
    account.dispatching._caps = caps


def test_a_replay_of_a_create_is_the_same_job_and_a_refused_one_is_none(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 3)
        await account.advance(Stage.ACCEPTED, until=Stage.INGESTED)
        first, second, third = [await account.take(sent) for sent in await account.dispatch()]
        for _ in range(3):
            assert isinstance(await ask(account, first), Granted), "one lease, one count"
        assert isinstance(await ask(account, second), Granted)
        answer = await ask(account, third)
        assert isinstance(answer, Wait)
        assert answer.capped
        assert (await account.snapshot()).bought_today == 2
        # The first send of the second was refused for certain: its place is another's.
        await account.settle(second, Stage.INGESTED, Ending.BACKLOG, release_slot=True, unspent=True, delay_ms=60_000)
        assert (await account.snapshot()).bought_today == 1
        assert isinstance(await ask(account, third), Granted)
        # The first was never answered: sent again under another lease, though the cap is reached.
        account.push(6_000)
        await account.beat("worker-1")
        again = {sent.key: sent for sent in await account.dispatch()}
        photo = await account.take(again[first.key])
        assert photo.stage is Stage.CREATING
        assert isinstance(await ask(account, photo), Granted)
        assert (await account.snapshot()).bought_today == 2

    tell(story, caps=Caps(account=Cap(per_day=2)))


def test_a_billing_period_is_what_the_usage_summary_says_else_the_month(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin(hands=1000)
        await account.enqueue("a", 30)
        assert await work(account, 6) == 4
        # 15 January 2027, 08:00: the month ends at the first of February.
        assert (await account.snapshot()).capped[0].until_ms == 1_801_440_000_000
        start, end = "2027-01-16T00:00:00Z", "2027-01-18T00:00:00Z"
        account.push(DAY_MS)
        await account.usage.write(usage_of({"billing_period": {"start_at": start, "end_at": end}}))
        assert await work(account, 6) == 4, "another period began on the 16th"
        assert (await account.snapshot()).capped[0].until_ms == 1_800_230_400_000
        account.push(DAY_MS)
        assert await work(account, 6) == 0, "the next day is in the same period"

    tell(story, caps=Caps(account=Cap(per_period=4)))


def test_nothing_is_created_beyond_the_included_allowance_when_that_is_asked_for(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin(hands=1000)
        await account.enqueue("a", 30)
        assert await work(account, 4) == 0, "nobody has read what is left"
        assert (await account.snapshot()).capped[0].number is None
        await account.usage.write(usage_of({"usage": {"included": 100, "consumed": 93}}))
        assert await work(account, 6) == 7
        assert "the included allowance is used up; 23 photos wait" in (await account.snapshot()).capped[0].describe()
        await account.usage.write(usage_of({"usage": {"included": 100, "consumed": 100, "remaining": "0.0"}}))
        assert await work(account, 6) == 0
        await account.usage.write(usage_of({"usage": {"included": 120, "consumed": 100}}))
        assert await work(account, 10) == 20

    tell(story, caps=Caps(stop_at_included=True))
