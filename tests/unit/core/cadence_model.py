"""Fifty slots, jobs and a read budget on a clock of their own: what the cadence makes of them."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from worker.core.cadence import busy_share, first_read_ms, next_read_ms
from worker.core.durations import WEIGHT, Durations, observed_ms

SLOTS = 50
#: The published read budget: 1,200 a minute.
READ_EVERY_MS = 50.0
#: From a job's end being noticed to the next job's start.
CREATE_MS = 150.0
DEFAULT_FIRST_MS = 5_000
KNOWN_LEAST_MS, UNKNOWN_LEAST_MS = 300, 1_000
#: `learn.lua` halves the histogram at so many jobs.
HALVED_AT = 200


@dataclass
class Learning:
    """The histogram as `worker/lua/learn.lua` keeps it."""

    weights: dict[int, int] = field(default_factory=dict)

    def add(self, duration_ms: int) -> None:
        bucket = math.floor(8 * math.log2(max(1, duration_ms)))
        self.weights[bucket] = self.weights.get(bucket, 0) + WEIGHT
        if sum(self.weights.values()) >= WEIGHT * HALVED_AT:
            self.weights = {b: w // 2 for b, w in self.weights.items() if w // 2}

    @property
    def durations(self) -> Durations:
        return Durations.of(self.weights)


@dataclass
class Outcome:
    """Slot use and reads of each stretch of jobs."""

    started_ms: list[float]
    ran_ms: list[float]
    noticed_ms: list[float]
    reads: list[int]

    def use(self, first: int, last: int) -> float:
        """Return the share of the slots' time in which jobs ran, from one job's start to another's."""
        begin, end = self.started_ms[first], self.started_ms[last]
        busy = sum(
            max(0.0, min(start + ran, end) - max(start, begin))
            for start, ran in zip(self.started_ms, self.ran_ms, strict=True)
        )
        return busy / (SLOTS * (end - begin))

    def reads_a_job(self, first: int, last: int) -> float:
        """Return how often the jobs of a stretch were read in the mean."""
        return sum(self.reads[first:last]) / (last - first)


def run(jobs: int, duration_ms: Callable[[random.Random, int], float], *, seed: int = 1) -> Outcome:
    """Run so many jobs; `duration_ms` says how long the nth takes."""
    dice, learning = random.Random(seed), Learning()
    outcome = Outcome([0.0] * jobs, [0.0] * jobs, [0.0] * jobs, [0] * jobs)
    due: list[tuple[float, int]] = []
    last_read: dict[int, float] = {}
    next_job, next_read_at, done = 0, 0.0, 0

    def share() -> float:
        return busy_share(learning.durations, reads_a_ms=1 / READ_EVERY_MS, jobs=SLOTS)

    def start(at_ms: float) -> None:
        nonlocal next_job
        if next_job >= jobs:
            return
        outcome.started_ms[next_job] = at_ms
        outcome.ran_ms[next_job] = duration_ms(dice, next_job)
        first = first_read_ms(learning.durations, share(), DEFAULT_FIRST_MS)
        heapq.heappush(due, (at_ms + first, next_job))
        next_job += 1

    for slot in range(min(SLOTS, jobs)):
        start(slot * 500.0)
    while done < jobs:
        due_ms, job = heapq.heappop(due)
        # At most a twentieth of a minute's reads in one burst.
        next_read_at = max(next_read_at, due_ms - 60 * READ_EVERY_MS)
        at_ms = max(due_ms, next_read_at)
        next_read_at += READ_EVERY_MS
        outcome.reads[job] += 1
        age_ms = int(at_ms - outcome.started_ms[job])
        if age_ms >= outcome.ran_ms[job]:
            planned = first_read_ms(learning.durations, share(), 0) if learning.durations.known else None
            seen = observed_ms(age_ms, read_before_ms=_age(last_read.get(job), outcome, job), planned_ms=planned)
            if seen is not None:
                learning.add(seen)
            outcome.noticed_ms[job] = at_ms
            done += 1
            start(at_ms + CREATE_MS)
            continue
        last_read[job] = at_ms
        least = KNOWN_LEAST_MS if learning.durations.known else UNKNOWN_LEAST_MS
        heapq.heappush(due, (at_ms + next_read_ms(learning.durations, share(), age_ms=age_ms, least_ms=least), job))
    return outcome


def _age(at_ms: float | None, outcome: Outcome, job: int) -> int | None:
    return None if at_ms is None else int(at_ms - outcome.started_ms[job])
