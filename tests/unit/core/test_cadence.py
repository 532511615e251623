"""When a job is read: by what is learnt of its kind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.cadence import (
    AHEAD_BESIDES,
    Load,
    busy_share,
    first_read_ms,
    look_ahead,
    next_read_ms,
    read_share,
)
from worker.core.durations import ENOUGH, WEIGHT, Durations, observed_ms

#: Jobs of 32 to 64 s, spread evenly over the doubling's eight buckets by their widths.
EVEN = Durations.of(
    {bucket: round(1000 * (2 ** ((bucket + 1) / 8) - 2 ** (bucket / 8)) / 2**15) for bucket in range(120, 128)}
)

histograms = st.dictionaries(st.integers(40, 200), st.integers(1, 5_000), min_size=1, max_size=30)


def test_too_few_observations_are_not_gone_by() -> None:
    few = Durations.of({120: (ENOUGH - 1) * WEIGHT})
    assert not few.known
    assert first_read_ms(few, 0.05, 5_000) == 5_000
    assert next_read_ms(few, 0.05, age_ms=10_000, least_ms=700) == 700


def test_nothing_is_read_before_jobs_of_the_kind_have_ever_ended() -> None:
    earliest_ms = 2 ** (120 / 8)
    assert first_read_ms(EVEN, 0.0001, 5_000) >= earliest_ms


def test_a_job_is_read_when_the_share_of_its_kind_would_have_ended() -> None:
    assert first_read_ms(EVEN, 0.25, 5_000) == pytest.approx(32_768 * 1.25, rel=0.01)
    assert next_read_ms(EVEN, 0.5, age_ms=49_152, least_ms=1) == pytest.approx(8_192, rel=0.01)


def test_reads_come_closer_as_the_end_becomes_likelier() -> None:
    ages = [33_000, 45_000, 55_000, 62_000]
    pauses = [next_read_ms(EVEN, 0.05, age_ms=age, least_ms=100) for age in ages]
    assert pauses == sorted(pauses, reverse=True)
    assert len(set(pauses)) == len(pauses)


def test_a_job_past_all_ages_ever_seen_is_read_less_and_less_often() -> None:
    pauses = [next_read_ms(EVEN, 0.05, age_ms=age, least_ms=300) for age in (66_000, 80_000, 160_000)]
    assert pauses[0] == 300
    assert pauses == sorted(pauses)
    assert pauses[-1] == pytest.approx(9_446, rel=0.01)


@given(histograms, st.floats(0.001, 0.9))
def test_an_age_and_its_share_belong_together(histogram: dict[int, int], share: float) -> None:
    durations = Durations.of(histogram)
    assert durations.over_by(durations.age_ms(share) + 1) >= share * 0.999
    assert 0 <= durations.over_by(durations.age_ms(share) - 1) <= share * 1.001 + 1e-9


@given(histograms, st.floats(0.001, 0.9), st.integers(0, 10**9))
def test_a_pause_is_never_shorter_than_the_least(histogram: dict[int, int], share: float, age_ms: int) -> None:
    assert next_read_ms(Durations.of(histogram), share, age_ms=age_ms, least_ms=250) >= 250


def test_the_share_uses_up_the_read_budget() -> None:
    """Twenty reads a second for fifty jobs of 48 s: nineteen reads for each, of which one in nineteen finds the end."""
    assert 1 / busy_share(EVEN, reads_a_ms=0.02, jobs=50) == pytest.approx(0.95 * 0.02 * EVEN.mean_ms() / 50)
    assert busy_share(EVEN, reads_a_ms=0.000_001, jobs=50) == 0.5


def test_reads_are_many_only_while_they_win_creates() -> None:
    """Photos must wait, and slots be in use, for an end noticed sooner to be another job's begin."""
    shares = {
        name: read_share(EVEN, load, reads_a_ms=0.02, slots=50)
        for name, load in {
            "pressed": Load(waiting=100, in_flight=48),
            "nobody waits": Load(waiting=0, in_flight=48),
            "slots are free": Load(waiting=100, in_flight=30),
            "a few jobs": Load(waiting=0, in_flight=2),
        }.items()
    }
    assert shares["pressed"] < shares["a few jobs"] < shares["nobody waits"] == shares["slots are free"]


def test_however_many_reads_there_are_a_job_is_not_read_for_next_to_nothing() -> None:
    assert busy_share(EVEN, reads_a_ms=10, jobs=50) == pytest.approx(0.04)


@pytest.mark.parametrize(
    ("age_ms", "read_before_ms", "planned_ms", "learnt"),
    [
        (40_000, None, 39_000, 33_635),
        (40_000, None, None, 33_635),
        (40_000, None, 19_000, None),
        (40_000, 38_000, 1_000, 39_000),
        (40_000, 19_000, 39_000, None),
    ],
)
def test_an_end_is_learnt_from_the_reads_around_it_unless_they_are_far_apart(
    age_ms: int, read_before_ms: int | None, planned_ms: int | None, learnt: int | None
) -> None:
    assert observed_ms(age_ms, read_before_ms=read_before_ms, planned_ms=planned_ms) == learnt


def test_the_look_ahead_covers_an_ingest_at_the_rate_of_creates() -> None:
    ingests = Durations.of({88: 1_000})  # 2 to 2.2 s
    ahead = look_ahead(ingests, EVEN, writes_a_ms=0.002, in_flight=50, call_ms=2_000)
    assert AHEAD_BESIDES + 12 <= ahead <= AHEAD_BESIDES + 14
    assert look_ahead(Durations(), EVEN, writes_a_ms=0.002, in_flight=50, call_ms=2_000) == 50


def test_the_look_ahead_is_not_made_for_creates_that_slots_will_never_allow() -> None:
    ingests = Durations.of({88: 1_000})
    slow = Durations.of({160: 1_000})  # jobs of 17 minutes
    assert look_ahead(ingests, slow, writes_a_ms=0.002, in_flight=50, call_ms=2_000) == AHEAD_BESIDES + 1
