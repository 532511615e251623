"""Walks of the billing ledger: every order and form of it, broken off and gone on with, and what Redis forgot."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.money.conftest import DAY_MS, Desk, Tell
from worker.core.photo import Stage
from worker.core.reconcile import Kind
from worker.core.routes import Route
from worker.flow.admission import Granted
from worker.katalo.errors import KataloError
from worker.pipeline.billing import LedgerUnreadable, price_of_a_job, reconciled, walk
from worker.pipeline.upkeep import FAR_MS
from worker.sandbox.config import READINGS

PHOTOS = 230
#: So that many photos need few rounds.
LIMITS = dict.fromkeys(("source_assets", "generations", "generation_reads", "ingest_reads", "billing"), 1200)


async def staged(desk: Desk, count: int = PHOTOS) -> None:
    """Have photos staged in a hurry."""
    await desk.enqueue("house", count)
    for _ in range(60):
        await desk.rounds(1)
        if (await desk.services.ledger.snapshot()).stages == {Stage.DONE: count}:
            return
    raise AssertionError((await desk.services.ledger.snapshot()).stages)


@pytest.mark.parametrize("reading", ["newer", "older"])
def test_every_line_is_read_once_whatever_the_order_of_the_ledger(tell: Tell, reading: str) -> None:
    async def story(desk: Desk) -> None:
        await staged(desk)
        lines = await walk(desk.services, since_ms=desk.clock_ms - DAY_MS)
        assert len({line.event_id for line in lines}) == len(lines) == PHOTOS
        assert {line.amount_usd for line in lines} == {Decimal("0.50")} or {line.amount_usd for line in lines} == {
            Decimal("0.5")
        }
        report = await reconciled(desk.services, since_ms=desk.clock_ms - DAY_MS, until_ms=FAR_MS, now_ms=desk.clock_ms)
        assert {kind: amount.lines for kind, amount in report.kinds.items()} == {Kind.STAGED: PHOTOS}
        assert report.total.usd == Decimal("115.00")

    tell(story, sandbox={"readings": READINGS[reading], "limits": LIMITS})


class Dropping:
    """A client whose process ends after the first page."""

    def __init__(self, katalo: Any) -> None:
        self._katalo, self._reads = katalo, 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._katalo, name)

    async def billing(self, cursor: str | None = None) -> object:
        self._reads += 1
        if self._reads == 2:
            raise KeyboardInterrupt
        return await self._katalo.billing(cursor)


async def break_off(desk: Desk, *, since_ms: int) -> None:
    """Walk to the second page, and no further."""
    katalo = desk.services.katalo
    desk.services.katalo = Dropping(katalo)  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        await walk(desk.services, since_ms=since_ms)
    desk.services.katalo = katalo


def test_a_walk_that_broke_off_goes_on_at_its_page(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        await staged(desk)
        before = (await desk.books())["accepted"].get("billing", 0)
        await break_off(desk, since_ms=desk.clock_ms - DAY_MS)
        lines = await walk(desk.services, since_ms=desk.clock_ms - DAY_MS)
        assert len(lines) == PHOTOS
        assert (await desk.books())["accepted"]["billing"] - before == 3, "three pages, each read once"

    tell(story, sandbox={"limits": LIMITS})


@pytest.mark.parametrize("reading", ["newer", "older"])
def test_what_was_billed_since_a_walk_broke_off_is_read_too_whatever_the_order(tell: Tell, reading: str) -> None:
    async def story(desk: Desk) -> None:
        await staged(desk, 120)
        since_ms = desk.clock_ms - DAY_MS
        await break_off(desk, since_ms=since_ms)
        await desk.enqueue("flat", 3)
        await desk.until({Stage.DONE: 123})
        assert len(await walk(desk.services, since_ms=since_ms)) == 123

    tell(story, sandbox={"readings": READINGS[reading], "limits": LIMITS})


def test_a_walk_from_an_earlier_hour_misses_nothing_where_one_from_a_later_hour_broke_off(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        await desk.push(DAY_MS - desk.clock_ms % DAY_MS)
        midnight_ms = desk.clock_ms
        await staged(desk, 120)
        await break_off(desk, since_ms=desk.clock_ms)
        assert len(await walk(desk.services, since_ms=midnight_ms)) == 120

    tell(story, sandbox={"limits": LIMITS})


def test_a_cursor_that_is_refused_begins_the_walk_anew_and_gives_up_in_the_end(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        await staged(desk, 120)
        await desk.faults(stale_cursors=1.0)
        with pytest.raises(LedgerUnreadable, match="try again later"):
            await walk(desk.services, since_ms=desk.clock_ms - DAY_MS)
        await desk.faults(stale_cursors=0.0)
        assert len(await walk(desk.services, since_ms=desk.clock_ms - DAY_MS)) == 120

    tell(story, sandbox={"limits": LIMITS})


def test_reads_of_the_ledger_keep_to_its_budget(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        await desk.enqueue("house", 1)
        await desk.until({Stage.DONE: 1})
        budget = desk.services.limits.budgets[Route.BILLING]
        assert budget.count == 2
        for number in range(2):
            assert isinstance(await desk.services.admission.grant(budget, f"other-{number}"), Granted)
        assert "gives no call for" in await desk.stagecrew("reconcile", "--since", "1d", code=1)
        assert (await desk.books())["accepted"].get("billing", 0) == 0

    tell(story, STAGECREW_LIMITS__BILLING="2/86400s")


def test_jobs_that_an_emptied_redis_forgot_are_found_by_what_stands_in_the_store(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        await desk.enqueue("house", 12, partner="globex")
        await desk.until({Stage.DONE: 12})
        await desk.enqueue("flat", 3)
        await desk.rounds(3)
        assert (await desk.services.ledger.snapshot()).stages[Stage.GENERATING] == 3
        await desk.services.account.redis.flushall()
        await desk.services.ledger.unused_api()
        await desk.push(DAY_MS)
        answer = await desk.asked("reconcile", "--since", "3d", "--format", "json", code=1)
        assert answer["partners"]["globex"]["amount_usd"] == "6.00"
        assert answer["kinds"]["billed_and_staged"]["bills"] == 12
        # Paid for, and nobody has asked for them again: their receipts say whose they are.
        assert answer["kinds"]["billed_not_staged"]["bills"] == 3
        assert {entry["listing_id"] for entry in answer["troubles"]} == {"flat"}
        assert "its receipt leads to this job" in answer["troubles"][0]["note"]
        await desk.services.ledger.enqueue([desk.listing("flat", 3)])
        await desk.until({Stage.DONE: 3})
        assert "everything adds up" in await desk.stagecrew("reconcile", "--since", "3d")
        assert (await desk.books())["jobs_created"] == 15

    tell(story)


def test_cached_results_are_free_and_a_double_bill_is_told(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        first = await desk.enqueue("house", 4)
        await desk.until({Stage.DONE: 4})
        # The same pictures under another listing: the API has their results.
        from worker.core.photo import NewListing

        again = NewListing(listing_id="twin", partner="twin", photos=first.photos, metadata={})
        await desk.services.ledger.enqueue([again])
        await desk.until({Stage.DONE: 8})
        assert "everything adds up" in await desk.stagecrew("reconcile", "--since", "1d")
        answer = await desk.asked("reconcile", "--since", "1d", "--format", "json")
        assert answer["kinds"]["staged_not_billed"] == {"bills": 4, "amount_usd": "0", "without_amount": 0}
        assert answer["partners"]["twin"]["amount_usd"] == "0"
        await desk.faults(double_bills=1.0)
        await desk.enqueue("flat", 2)
        await desk.until({Stage.DONE: 10})
        table = await desk.stagecrew("reconcile", "--since", "1d", code=1)
        assert table.count("BILLED TWICE") == 3, "once in the sums, and both photos"

    tell(story, sandbox={"cache_hits": True})


def test_the_price_is_what_was_billed_last_unless_the_settings_say_it(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        await desk.push(DAY_MS)
        assert await price_of_a_job(desk.services) is None, "no bill, no price"
        await desk.enqueue("house", 1)
        await desk.until({Stage.DONE: 1})
        assert await price_of_a_job(desk.services) == Decimal("0.75")
        desk.services.job_price_usd = Decimal("0.60")
        assert await price_of_a_job(desk.services) == Decimal("0.60")

    tell(story, sandbox={"prices": {"generation": "0.75", "regenerate": "2.00"}})


def test_jobs_of_strangers_are_remembered_for_a_time_that_new_ones_do_not_prolong(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        bills, redis = desk.services.account.bills, desk.services.account.redis
        await bills.note_strangers(["gen_1"])
        assert await redis.pttl("sc1:{default}:billing:strangers") > 60 * DAY_MS
        await redis.pexpire("sc1:{default}:billing:strangers", DAY_MS)
        await bills.note_strangers(["gen_2"])
        assert await redis.pttl("sc1:{default}:billing:strangers") <= DAY_MS
        assert await bills.strangers(["gen_1", "gen_2", "gen_3"]) == {"gen_1", "gen_2"}

    tell(story)


def test_an_api_that_does_not_answer_is_told_as_it_is(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        await desk.push(DAY_MS)
        await desk.faults(key_revoked=True)
        with pytest.raises(KataloError):
            await walk(desk.services, since_ms=desk.clock_ms - DAY_MS)
        said = await desk.stagecrew("reconcile", "--since", "1d", code=1)
        assert "401" in said
        assert "KATALO_API_KEY" in said

    tell(story)


def test_a_photo_that_was_cancelled_after_it_was_paid_for_adds_up(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        await desk.enqueue("house", 2)
        await desk.rounds(3)
        assert (await desk.services.ledger.snapshot()).stages[Stage.GENERATING] == 2
        await desk.stagecrew("cancel", "house/photo-0", "--drop", "--yes")
        await desk.until({Stage.DONE: 1, Stage.CANCELLED: 1})
        answer = await desk.asked("reconcile", "--since", "1d", "--format", "json")
        assert {kind: told["bills"] for kind, told in answer["kinds"].items()} == {
            "billed_and_staged": 1,
            "billed_cancelled": 1,
        }

    tell(story)
