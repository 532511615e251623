"""The figures' arithmetic, on small made-up books."""

from __future__ import annotations

from typing import Any

import pytest

from bench import books
from bench.scenarios.alone import waits_ms
from worker.core.photo import StepName


def job(created_ms: float, ends_ms: float, seen_ms: float | None = None, **more: Any) -> dict[str, Any]:
    return {
        "created_ms": created_ms,
        "ends_ms": ends_ms,
        "seen_ms": ends_ms if seen_ms is None else seen_ms,
        "notified_ms": None,
        "asset_id": "src",
        "metadata": {"photo_id": "0", "partner": "a"},
        **more,
    }


def test_slots_that_are_refilled_at_once_are_all_in_use() -> None:
    jobs = [job(0, 10), job(0, 10), job(10, 20), job(10, 20), job(20, 30)]
    assert books.slot_use(jobs, 2) == 1


def test_a_gap_before_a_create_counts_against_the_slots() -> None:
    # Two slots from 0 to 20: both run for 10, one is empty for 5 of the other 10, the last create ends the measure.
    jobs = [job(0, 10), job(0, 10), job(10, 20), job(15, 20), job(20, 30)]
    assert books.slot_use(jobs, 2) == pytest.approx(35 / 40)


def test_ramp_up_does_not_count_and_nor_does_what_was_before_a_shift() -> None:
    jobs = [job(0, 100), job(50, 100), job(110, 200), job(110, 200), job(200, 300), job(200, 300)]
    assert books.slot_use(jobs, 2) == pytest.approx((2 * 50 + 2 * 90) / (2 * 150))
    assert books.slot_use(jobs, 2, after_ms=110) == 1


def test_slots_that_were_never_taken_have_no_use() -> None:
    with pytest.raises(ValueError, match="never took 3 slots"):
        books.slot_use([job(0, 1), job(0, 1)], 3)
    with pytest.raises(ValueError, match="nothing was created after"):
        books.slot_use([job(0, 1), job(0, 1)], 2)


def test_a_write_budget_that_is_filled_each_minute_is_all_in_use() -> None:
    jobs = [job(minute * 60_000 + at, 0) for minute in range(3) for at in (0, 10, 20)]
    assert books.budget_use(jobs, 3) == 1


def test_a_guard_on_the_window_costs_its_share_of_the_budget() -> None:
    jobs = [job(minute * 61_000 + at, 0) for minute in range(4) for at in (0, 10, 20)]
    # The one after the last whole fill would say nothing about the pace.
    jobs.append(job(4 * 61_000, 0))
    assert books.budget_use(jobs, 3) == pytest.approx(60 / 61)


def test_one_fill_says_nothing_about_a_budget() -> None:
    with pytest.raises(ValueError, match="fewer than two fills"):
        books.budget_use([job(0, 0)] * 5, 3)


def test_detection_is_the_median_from_the_end_to_the_first_answer_that_told_it() -> None:
    assert books.detection_s([job(0, 1000, 1500), job(0, 1000, 3000), job(0, 1000, 9000)]) == 2
    assert books.detection_s([job(0, 1000, 1500), job(0, 1000) | {"seen_ms": None}]) == 0.5


def test_refill_pairs_each_end_with_the_create_that_follows_it() -> None:
    jobs = [job(0, 10_000), job(0, 20_000), job(11_000, 30_000), job(23_000, 40_000)]
    assert books.refill_s(jobs, 2) == 2


def test_slots_over_time_add_up_to_the_time_that_jobs_ran() -> None:
    jobs = [job(0, 4000), job(1000, 2000), job(3500, 10_000)]
    points = books.slots_over_time(jobs, 7)
    assert len(points) == 7
    assert sum(used for _, used in points) * 10 / 7 == pytest.approx(4 + 1 + 6.5)
    assert max(used for _, used in points) <= 2


def test_overhead_is_what_is_not_the_apis_own_time() -> None:
    found = {
        "ingests": [{"asset_id": "src", "created_ms": 100, "ready_ms": 1100}],
        "jobs": [job(2000, 7000)],
    }
    # At fivefold speed the ingest and the job took 1,200 ms of real time together.
    assert books.overheads_ms(found, {"0": 10_000}, {"0": 11_500}, 5) == {"0": 300}


def test_creates_of_others_are_counted_up_to_the_first_of_the_partner() -> None:
    jobs = [job(at, at + 5, metadata={"partner": "a"}) for at in (1, 5, 6, 8, 12)]
    jobs += [job(at, at + 5, metadata={"partner": "b"}) for at in (10, 11)]
    assert books.creates_between(jobs, "b", since_ms=5) == 2
    with pytest.raises(ValueError, match="c has no job"):
        books.creates_between(jobs, "c", since_ms=5)


def test_a_time_of_the_apis_clock_is_found_on_the_wall() -> None:
    assert books.wall_ms({"wall_ms": 5000, "now_ms": 90_000}, 80_000, 10) == 4000


@pytest.mark.parametrize(
    ("dues", "waited"),
    [
        ({700.0}, 200),  # over at 500, allowed at 700, seen at 720: 20 ms of it were ours
        ({300.0}, 0),  # allowed before the end: all that it came late is ours
        ({300.0, 650.0, 900.0}, 150),  # the read that saw it is the last one that was allowed before
        (set(), 0),  # nobody has seen a due time: nothing is taken off
    ],
)
def test_only_the_wait_until_a_read_was_allowed_is_taken_off(dues: set[float], waited: float) -> None:
    found = {
        "wall_ms": 10_000,
        "now_ms": 10_000,
        "ingests": [{"asset_id": "src", "ready_ms": 500, "seen_ms": 720}],
        "jobs": [job(800, 900, 900)],
    }
    steps = {StepName.POLL_INGEST: dues, StepName.POLL_GENERATION: set[float]()}
    assert waits_ms(found, {"0": steps}, 1) == {"0": waited}


def test_with_a_webhook_the_wait_ends_when_its_delivery_begins() -> None:
    found = {
        "wall_ms": 10_000,
        "now_ms": 10_000,
        "ingests": [{"asset_id": "src", "ready_ms": 500, "seen_ms": 500}],
        "jobs": [job(800, 900, 990, notified_ms=930)],
    }
    steps = {StepName.POLL_INGEST: set[float](), StepName.POLL_GENERATION: {980.0}}
    assert waits_ms(found, {"0": steps}, 1) == {"0": 30}
