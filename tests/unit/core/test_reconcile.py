"""Bills held against jobs and photos: every kind, exact money, and what counts as adding up."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.reconcile import NOBODY, Bought, Fate, Kind, Line, Report, reconcile

HOUR_MS = 3_600_000
NOW_MS = 1_000 * HOUR_MS
LATENESS_MS = 24 * HOUR_MS


def line(job: str | None, number: int = 1, **more: object) -> Line:
    plain = Line(
        event_id=f"evt-{job}-{number}",
        job_id=job,
        usage_type="generation",
        created_ms=NOW_MS - 50 * HOUR_MS,
        source_asset_id=f"src-{job}",
        billable=True,
        amount_usd=Decimal("0.50"),
    )
    return replace(plain, **more)  # type: ignore[arg-type]


def bought(job: str, **more: object) -> Bought:
    plain = Bought(
        job_id=job,
        listing_id="house",
        photo_id=f"photo of {job}",
        partner="acme",
        fingerprint="f",
        revision=1,
        source_asset_id=f"src-{job}",
        since_ms=NOW_MS - 51 * HOUR_MS,
        fate=Fate.STAGED,
    )
    return replace(plain, **more)  # type: ignore[arg-type]


def report(lines: list[Line], jobs: list[Bought], **more: object) -> Report:
    given_ = {"since_ms": 0, "until_ms": 10 * NOW_MS, "now_ms": NOW_MS, "lateness_ms": LATENESS_MS} | more
    return reconcile(lines, {job.job_id: job for job in jobs}, **given_)  # type: ignore[arg-type]


#: A line that gives everything back, and one that gives some of it back, of the bill's own type.
BACK = {"amount_usd": Decimal("-0.50")}
PARTLY = {"amount_usd": Decimal("-0.20")}


def kinds(found: Report) -> list[Kind]:
    return [entry.kind for entry in found.entries]


@pytest.mark.parametrize(
    ("lines", "jobs", "expected", "adds_up"),
    [
        ([], [], [], True),
        ([line("a")], [bought("a")], [Kind.STAGED], True),
        ([line("a")], [bought("a", fate=Fate.OPEN)], [Kind.IN_WORK], True),
        ([line("a")], [bought("a", fate=Fate.CANCELLED)], [Kind.CANCELLED], True),
        ([line("a")], [bought("a", fate=Fate.FAILED)], [Kind.NOT_STAGED], False),
        ([line("a")], [bought("a", fate=Fate.GONE)], [Kind.NOT_STAGED], False),
        ([line("a")], [], [Kind.UNKNOWN], False),
        ([line(None)], [bought("a", since_ms=0)], [Kind.UNKNOWN, Kind.FREE], False),
        ([line("a"), line("a", 2)], [bought("a")], [Kind.STAGED, Kind.TWICE], False),
        ([line("a"), line("a", 2, usage_type="alternate")], [bought("a")], [Kind.STAGED, Kind.STAGED], True),
        ([line("a"), line("a", 2, **BACK)], [bought("a")], [Kind.REFUNDED, Kind.REFUNDED], True),
        ([line("a"), line("a", 2, **BACK)], [bought("a", fate=Fate.FAILED)], [Kind.REFUNDED, Kind.REFUNDED], True),
        ([line("a"), line("a", 2, usage_type="refund")], [bought("a")], [Kind.REFUNDED, Kind.REFUNDED], True),
        ([line("a"), line("a", 2), line("a", 3, **BACK)], [bought("a")], [Kind.STAGED, *[Kind.REFUNDED] * 2], True),
        ([line("a"), line("a", 2, **PARTLY)], [bought("a", fate=Fate.FAILED)], [Kind.NOT_STAGED, Kind.REFUNDED], False),
        (
            [line("a"), line("a", 2, usage_type="refund", amount_usd=None)],
            [bought("a")],
            [Kind.STAGED, Kind.REFUNDED],
            True,
        ),
        ([line("x", **BACK)], [], [Kind.REFUNDED], True),
        ([line("a", billable=False)], [bought("a")], [Kind.FREE], True),
        ([line("a", amount_usd=Decimal("0.00"))], [bought("a")], [Kind.FREE], True),
        ([line("a", billable=None, amount_usd=None)], [bought("a")], [Kind.STAGED], True),
        ([line("x", billable=False)], [], [Kind.FREE], True),
        ([], [bought("a")], [Kind.FREE], True),
        ([], [bought("a", since_ms=NOW_MS - HOUR_MS)], [Kind.NOT_YET], True),
        ([], [bought("a", fate=Fate.OPEN)], [], True),
        ([], [bought("a", fate=Fate.FAILED)], [], True),
    ],
)
def test_every_bill_and_every_job_without_one_is_of_one_kind(
    lines: list[Line], jobs: list[Bought], expected: list[Kind], adds_up: bool
) -> None:
    found = report(lines, jobs)
    assert kinds(found) == expected
    assert found.adds_up is adds_up


@pytest.mark.parametrize("back", [BACK, {"usage_type": "generation_refund"}])
def test_a_refund_takes_its_amount_off_whichever_sign_it_has(back: dict[str, object]) -> None:
    found = report([line("a"), line("b"), line("b", 2, **back)], [bought("a"), bought("b")])
    assert (found.total.usd, found.total.lines, found.adds_up) == (Decimal("0.50"), 3, True)


def test_after_a_refund_a_second_bill_of_the_job_is_its_first() -> None:
    later = {"created_ms": NOW_MS - 49 * HOUR_MS}
    found = report([line("a"), line("a", 2, **BACK), line("a", 3, **later)], [bought("a")])
    assert (found.adds_up, found.total.usd) == (True, Decimal("0.50"))


def test_a_refund_that_is_not_billable_changes_no_sum() -> None:
    """Whether such a line moves money is not known: what was spent is rather said too high than too low."""
    found = report([line("a"), line("a", 2, billable=False, **BACK)], [bought("a")])
    assert (kinds(found), found.total.usd) == ([Kind.STAGED, Kind.REFUNDED], Decimal("0.50"))


def test_two_jobs_of_one_request_are_billed_twice_and_a_regeneration_is_not() -> None:
    same = {"photo_id": "kitchen"}
    found = report(
        [line("a"), line("b", created_ms=NOW_MS - 40 * HOUR_MS), line("c", created_ms=NOW_MS - 30 * HOUR_MS)],
        [bought("a", **same), bought("b", **same), bought("c", **same, revision=2)],
    )
    assert kinds(found) == [Kind.STAGED, Kind.TWICE, Kind.STAGED]
    assert found.troubles[0].note == "the same request of this photo is billed as job a already"


def test_a_line_that_is_given_twice_is_one_bill() -> None:
    found = report([line("a"), line("a")], [bought("a")])
    assert (kinds(found), found.total.usd, found.adds_up) == ([Kind.STAGED], Decimal("0.50"), True)


def test_an_unknown_bill_says_whose_source_it_is_made_of() -> None:
    lines = [line("x", source_asset_id="src-lost"), line("y", source_asset_id="src-a"), line("z")]
    found = report(lines, [bought("a", fate=Fate.OPEN)], uncertain={"src-lost": "house/hall"})
    notes = [entry.note for entry in found.entries]
    assert "may be the create of house/hall" in notes[0]
    assert "made of the source of house/photo of a, whose own job is a" in notes[1]
    assert "another user of the organisation" in notes[2]


def test_money_is_summed_exactly_by_partner_and_listing_and_unknown_amounts_are_counted_not_guessed() -> None:
    lines = [line(f"j{n}", amount_usd=Decimal("0.1")) for n in range(3)]
    lines += [line("k", amount_usd=None), line("x", amount_usd=Decimal("9.99"))]
    jobs = [bought(f"j{n}") for n in range(3)] + [bought("k", partner="globex", listing_id="villa")]
    found = report(lines, jobs)
    assert found.partners["acme"].usd == Decimal("0.3")
    assert (found.partners["globex"].usd, found.partners["globex"].unpriced) == (Decimal(0), 1)
    assert found.partners[NOBODY].usd == Decimal("9.99")
    assert found.listings["acme", "house"].lines == 3
    assert (found.total.usd, found.total.lines, found.total.unpriced) == (Decimal("10.29"), 5, 1)
    alone = report(lines, jobs, partner="globex")
    assert [entry.bought.partner for entry in alone.entries if entry.bought] == ["globex"]
    assert alone.adds_up


def test_only_the_span_is_reported_and_a_later_bill_still_tells_that_a_job_is_billed() -> None:
    since, until = NOW_MS - 100 * HOUR_MS, NOW_MS - 40 * HOUR_MS
    lines = [
        line("early", created_ms=NOW_MS - 200 * HOUR_MS),
        line("in"),
        line("late", created_ms=NOW_MS - 30 * HOUR_MS),
        line("when", created_ms=None),
    ]
    jobs = [bought("early", since_ms=0), bought("in"), bought("late"), bought("when")]
    found = report(lines, jobs, since_ms=since, until_ms=until)
    assert {entry.bought.job_id for entry in found.entries if entry.bought} == {"in", "when"}


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.decimals(0, 100, places=2)), max_size=30))
def test_every_line_is_counted_once_and_no_cent_is_lost(given_lines: list[tuple[str, Decimal]]) -> None:
    lines = [line(job, number, amount_usd=amount) for number, (job, amount) in enumerate(given_lines)]
    found = report(lines, [bought("a"), bought("b", partner="globex")])
    assert sum(entry.line is not None for entry in found.entries) == len(lines)
    assert found.total.usd == sum((amount for _, amount in given_lines), Decimal(0))
    assert sum((amount.usd for amount in found.partners.values()), Decimal(0)) == found.total.usd
