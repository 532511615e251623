"""When a job is read whose end a webhook should tell: after nearly all of them have come."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.cadence import TAIL_SHARE, recovery_pause_ms, recovery_read_ms
from worker.core.durations import BUCKETS_A_DOUBLING, ENOUGH, WEIGHT, Durations


def learnt(*durations_ms: int) -> Durations:
    """Return what `learn.lua` makes of these durations."""
    found: dict[int, int] = {}
    for duration_ms in durations_ms:
        bucket = math.floor(BUCKETS_A_DOUBLING * math.log2(duration_ms))
        found[bucket] = found.get(bucket, 0) + WEIGHT
    return Durations.of(found)


def test_before_enough_is_learnt_the_default_holds() -> None:
    assert recovery_read_ms(Durations(), default_ms=90_000, margin_ms=1) == 90_000
    assert recovery_read_ms(learnt(*[30_000] * (ENOUGH - 1)), default_ms=90_000, margin_ms=1) == 90_000


@given(st.lists(st.integers(1, 10_000_000), min_size=ENOUGH), st.integers(0, 100_000))
def test_the_first_read_comes_after_nearly_all_ends_and_the_margin(durations_ms: list[int], margin_ms: int) -> None:
    read_ms = recovery_read_ms(learnt(*durations_ms), default_ms=0, margin_ms=margin_ms)
    bucket = 2 ** (1 / BUCKETS_A_DOUBLING)
    over = sum(duration_ms <= (read_ms - margin_ms + 1) * bucket for duration_ms in durations_ms)
    assert over >= len(durations_ms) * TAIL_SHARE, "as well as buckets can tell"
    assert read_ms <= max(durations_ms) * bucket + margin_ms + 1, "and no bucket later than the last of them"


def test_one_straggler_in_hundreds_delays_nobody() -> None:
    assert recovery_read_ms(learnt(*[30_000] * 300, 3_000_000), default_ms=0, margin_ms=0) < 35_000


@pytest.mark.parametrize(("polls", "expected"), [(0, 15), (1, 30), (3, 60), (100, 60)])
def test_reads_of_a_job_that_runs_on_grow_rarer(polls: int, expected: int) -> None:
    assert recovery_pause_ms(polls, 15) == expected
