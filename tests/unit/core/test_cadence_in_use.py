"""What the cadence makes of fifty slots under the published read budget: full slots, also when durations shift."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.unit.core.cadence_model import READ_EVERY_MS, run

Kind = Callable[[random.Random, int], float]

#: How long jobs of a kind run, in ms.
KINDS: dict[str, Kind] = {
    "evenly over a doubling": lambda dice, _: dice.uniform(30_000, 60_000),
    "of two very different sizes": lambda dice, _: dice.choice((dice.uniform(20e3, 25e3), dice.uniform(90e3, 120e3))),
    "mostly short, some very long": lambda dice, _: 10_000 + dice.expovariate(1 / 30_000),
    "almost all alike": lambda dice, _: dice.uniform(44_000, 46_000),
}
SHIFT = 800


def shifted(factor: float) -> Kind:
    """Return jobs that take another time from the 800th on."""
    return lambda dice, number: dice.uniform(30_000, 60_000) * (factor if number >= SHIFT else 1)


@pytest.mark.parametrize("kind", KINDS)
def test_slots_are_full_once_durations_are_learnt(kind: str) -> None:
    assert run(1_200, KINDS[kind]).use(200, 1_100) >= 0.965


def test_reads_stay_within_the_budget_and_are_worth_it() -> None:
    outcome = run(1_200, KINDS["evenly over a doubling"])
    budget = (outcome.started_ms[1_100] - outcome.started_ms[200]) / READ_EVERY_MS / 900
    assert 0.6 * budget <= outcome.reads_a_job(200, 1_100) <= budget
    assert outcome.use(200, 1_100) >= 0.98


def test_jobs_that_take_twice_as_long_from_now_on_leave_no_slot_empty() -> None:
    outcome = run(2_000, shifted(2))
    assert min(outcome.use(first, first + 100) for first in range(SHIFT, 1_800, 100)) >= 0.98


def test_jobs_that_take_half_as_long_from_now_on_are_followed_within_a_few_rounds() -> None:
    outcome = run(2_000, shifted(0.5))
    assert outcome.use(SHIFT, SHIFT + 250) >= 0.85
    assert outcome.use(SHIFT + 300, 1_900) >= 0.96
