"""What the fleet does by itself, each by one worker: parks and resumes the account, finds lost jobs, reconciles."""

from __future__ import annotations

import logging

import pytest

from tests.money.conftest import DAY_MS, HOUR_MS, Desk, Tell
from worker.core.events import ACCOUNT_PARKED, ACCOUNT_RESUMED, FAILED, RECONCILED
from worker.core.photo import Stage, StepName
from worker.flow.parking import PROBE_MS, TRIAL_MS
from worker.katalo.accounting import usage_of
from worker.pipeline import upkeep as upkeep_module
from worker.pipeline.upkeep import Upkeep
from worker.sandbox.config import LIMITS


def upkeep(desk: Desk, name: str = "worker-1") -> Upkeep:
    return Upkeep(desk.services, name=name, reconcile_days=desk.settings.reconcile_days)


async def attend(desk: Desk, duty: str, name: str = "worker-1") -> bool:
    """Let a worker do a duty if it is due."""
    keeping = upkeep(desk, name)
    return await keeping.attend(next(one for one in keeping.duties if one.name == duty))


async def all_waiting(desk: Desk, count: int) -> None:
    """Nothing has failed, and no attempt is spent."""
    views = await desk.services.ledger.listing("house")
    assert len(views) == count
    assert {view.attempt for view in views} == {0}
    assert not {view.stage for view in views} & {Stage.FAILED, Stage.UNCERTAIN}
    assert await desk.events(FAILED) == []


@pytest.mark.parametrize(
    ("fault", "word"),
    [("key_revoked", "401"), ("entitlement_ended", "not entitled"), ("allowance_stops", "402")],
)
def test_an_account_that_is_refused_parks_probes_and_goes_on_when_it_is_mended(
    tell: Tell, fault: str, word: str
) -> None:
    async def story(desk: Desk) -> None:
        await desk.enqueue("house", 5)
        await desk.rounds(2, only={StepName.INGEST_SOURCE, StepName.POLL_INGEST})
        await desk.faults(**{fault: True})
        for _ in range(6):
            await desk.rounds(1)
            await attend(desk, "usage")
            await attend(desk, "probe")
        await all_waiting(desk, 5)
        parked = (await desk.services.ledger.snapshot()).parked
        assert parked is not None
        said = await desk.stagecrew("status")
        assert "parked since" in said
        assert "".join(parked.reason.split()) in "".join(said.split()), "wrapped or not"
        assert len(await desk.events(ACCOUNT_PARKED)) == 1
        assert word in (await desk.events(ACCOUNT_PARKED))[0]["data"]["reason"]
        assert await desk.events(ACCOUNT_RESUMED) == []
        await desk.faults(**{fault: False})
        for _ in range(30):
            await desk.rounds(1)
            await attend(desk, "probe")
        assert (await desk.services.ledger.snapshot()).stages == {Stage.DONE: 5}
        assert (await desk.services.ledger.snapshot()).parked is None
        assert [len(await desk.events(kind)) for kind in (ACCOUNT_PARKED, ACCOUNT_RESUMED)] == [1, 1]
        assert (await desk.books())["jobs_created"] == 5

    tell(story, sandbox={"included": 0 if fault == "allowance_stops" else 100})


def test_an_idle_fleet_notices_an_ended_entitlement_before_anything_is_sent(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        await desk.push(DAY_MS)
        await desk.faults(entitlement_ended=True)
        assert await attend(desk, "usage")
        parked = (await desk.services.ledger.snapshot()).parked
        assert parked is not None
        assert "may not use the API" in parked.reason
        await desk.enqueue("house", 1)
        await desk.rounds(2, round_ms=PROBE_MS // 2)
        assert set((await desk.books())["accepted"]) == {"usage"}

    tell(story)


def test_a_parked_account_sends_nothing_but_probes(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        await desk.enqueue("house", 3)
        await desk.faults(key_revoked=True)
        await desk.rounds(1)
        assert (await desk.services.ledger.snapshot()).parked is not None
        assert "PAUSED: POST /source-assets" in await desk.stagecrew("status")
        assert "bad  account: paused: POST /source-assets" in await desk.stagecrew("doctor", code=1)
        said = await desk.stagecrew("reconcile", "--since", "1d", code=1)
        assert "the account is parked, so nothing is read for it" in said
        assert "401" in said
        accepted = (await desk.books())["accepted"]
        for _ in range(10):
            await desk.rounds(1, round_ms=PROBE_MS)
            assert await attend(desk, "probe")
            assert not await attend(desk, "probe", "worker-2"), "one worker's, and not due again"
        assert (await desk.books())["accepted"] == accepted
        await all_waiting(desk, 3)
        await desk.faults(key_revoked=False)
        await desk.rounds(1, round_ms=PROBE_MS)
        await attend(desk, "probe")
        await desk.push(TRIAL_MS)
        await attend(desk, "probe")
        assert (await desk.services.ledger.snapshot()).parked is None

    tell(story)


def test_usage_is_read_each_minute_and_kept_for_everybody(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        await desk.enqueue("house", 2)
        await desk.until({Stage.DONE: 2})
        assert await attend(desk, "usage")
        assert not await attend(desk, "usage", "worker-2")
        usage = (await desk.services.ledger.snapshot()).usage
        assert usage is not None
        assert usage.summary.usage["consumed"] == 2
        assert usage.read_ms == desk.clock_ms
        assert "left of the included allowance: 98" in await desk.stagecrew("status")

    tell(story, sandbox={"included": 100})


def test_the_fleet_looks_for_lost_jobs_by_itself(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        await desk.enqueue("house", 1)
        await desk.rounds(2, only={StepName.INGEST_SOURCE, StepName.POLL_INGEST})
        assert not await attend(desk, "uncertain"), "there is none"
        await desk.faults(lost_responses=1.0)
        await desk.rounds(1, only={StepName.CREATE_GENERATION})
        await desk.faults(lost_responses=0.0)
        await desk.push(DAY_MS)
        await desk.rounds(1)
        assert (await desk.photo("house")).stage is Stage.UNCERTAIN
        assert await attend(desk, "uncertain")
        await desk.until({Stage.DONE: 1})
        assert (await desk.books())["jobs_created"] == 1

    tell(story)


def test_each_day_one_worker_reconciles_and_says_so(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        await desk.enqueue("house", 4, partner="acme")
        await desk.until({Stage.DONE: 4})
        assert not await attend(desk, "reconcile"), "not before a day has gone by"
        await desk.push(DAY_MS)
        assert await attend(desk, "reconcile")
        assert not await attend(desk, "reconcile", "worker-2")
        [event] = await desk.events(RECONCILED)
        assert event["data"]["adds_up"] is True
        assert event["data"]["partners"] == {"acme": {"bills": 4, "amount_usd": "2.00", "without_amount": 0}}
        assert event["data"]["kinds"] == {"billed_and_staged": {"count": 4, "amount_usd": "2.00"}}
        await desk.push(DAY_MS)
        assert await attend(desk, "reconcile", "worker-2")
        assert len(await desk.events(RECONCILED)) == 2

    tell(story)


def test_a_duty_that_meets_trouble_is_due_again_soon(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        await desk.push(DAY_MS)
        assert not await attend(desk, "reconcile"), "the first look sets the clock"
        await desk.push(DAY_MS)
        await desk.faults(key_revoked=True)
        assert await attend(desk, "reconcile")
        assert await desk.events(RECONCILED) == []
        await desk.faults(key_revoked=False)
        await desk.push(HOUR_MS)
        assert await attend(desk, "reconcile")
        assert len(await desk.events(RECONCILED)) == 1

    tell(story)


def test_limits_that_the_api_reports_are_put_in_force_and_those_that_are_set_stay(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        await desk.rounds(1)
        assert await attend(desk, "usage")
        budgets = {budget.route: budget.count for budget in (await desk.services.ledger.snapshot()).budgets}
        assert budgets["generations"] == 37
        assert budgets["generation_reads"] == 700, "set, so it wins"

    limits = {"generations": 37, "generation_reads": 900}
    tell(story, {"limits": {**LIMITS, **limits}}, STAGECREW_LIMITS__GENERATION_READS="700/60s")


def test_reported_limits_that_are_not_understood_are_named_once(tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[logging.LogRecord] = []
    # A logger that nobody else has: what other tests do to levels and handlers does not reach it.
    own = logging.Logger("heard")  # noqa: LOG001
    own.addHandler(handler := logging.Handler())
    handler.emit = heard.append  # type: ignore[method-assign]
    monkeypatch.setattr(upkeep_module, "logger", own)

    async def story(desk: Desk) -> None:
        keeping = upkeep(desk)
        summary = usage_of({"rate_limits": {"generations": "plenty", "moods": 3, "in_flight": 40}})
        for _ in range(2):
            await keeping._put_in_force(summary)
        said = [record for record in heard if record.msg == "reported limits not understood"]
        assert [record.limits for record in said] == ["generations, moods"]
        assert (await desk.services.ledger.snapshot()).slots_cap == 40

    tell(story)
