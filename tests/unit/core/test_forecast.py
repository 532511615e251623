"""When photos will be done, held against a simulation of the turns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.forecast import Rates, Waiting, outlooks

RATES = Rates(in_flight=50, creates_a_ms=0.002, sources_a_ms=0.002, job_ms=50_000)


def by_turns(photos: dict[str, int], weights: dict[str, int]) -> dict[str, int]:
    """Return after how many turns each partner is through, by weighted fair turns as the dispatcher gives them."""
    tags = dict.fromkeys(photos, 0.0)
    left, ends, turn = dict(photos), {}, 0
    while any(left.values()):
        partner = min((name for name in left if left[name]), key=lambda name: (tags[name], name))
        tags[partner] += 1 / weights[partner]
        left[partner] -= 1
        turn += 1
        if not left[partner]:
            ends[partner] = turn
    return ends


@pytest.mark.parametrize(
    ("changes", "bound", "a_minute"),
    [
        ({}, "slots", 60),
        ({"in_flight": 200}, "creates", 120),
        ({"job_ms": 20_000, "sources_a_ms": 0.001}, "sources", 60),
    ],
)
def test_the_rate_is_that_of_the_tightest_limit(changes: dict[str, float], bound: str, a_minute: float) -> None:
    rates = Rates(**({"in_flight": 50, "creates_a_ms": 0.002, "sources_a_ms": 0.002, "job_ms": 50_000} | changes))
    assert rates.bound == bound
    assert rates.photos_a_ms * 60_000 == pytest.approx(a_minute)


@given(st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.integers(1, 60), st.integers(1, 4)), min_size=1))
def test_partners_are_done_when_their_turns_say_so(partners: dict[str, tuple[int, int]]) -> None:
    photos = {name: count for name, (count, _) in partners.items()}
    weights = {name: weight for name, (_, weight) in partners.items()}
    waiting = [Waiting(partner=name, priority=0, photos=count) for name, count in photos.items()]
    found = outlooks(waiting, weights, RATES)
    for name, turn in by_turns(photos, weights).items():
        turns = (found[name].done_ms - RATES.job_ms) * RATES.photos_a_ms
        assert abs(turns - turn) <= sum(weights.values()) + len(weights)


def test_a_lower_priority_begins_when_the_higher_ones_are_through() -> None:
    waiting = [Waiting(partner="urgent", priority=9, photos=60), Waiting(partner="late", priority=0, photos=60)]
    found = outlooks(waiting, {}, RATES)
    assert found["urgent"].done_ms == pytest.approx(60_000 + 50_000)
    assert found["late"].done_ms == pytest.approx(120_000 + 50_000)
    assert (found["urgent"].share, found["late"].share) == (1.0, 0.0)


def test_a_partner_in_two_priorities_is_done_with_its_last_photo() -> None:
    waiting = [Waiting(partner="a", priority=9, photos=6), Waiting(partner="a", priority=0, photos=6)]
    assert outlooks(waiting, {}, RATES)["a"].done_ms == pytest.approx(12_000 + 50_000)


def test_nobody_who_waits_for_nothing_has_an_outlook() -> None:
    assert outlooks([Waiting(partner="a", priority=0, photos=0)], {}, RATES) == {}
