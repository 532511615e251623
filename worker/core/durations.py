"""How long things of one kind take, learnt as a histogram of log buckets that forgets (`worker/lua/learn.lua`).

Bucket `b` holds what took `2 ** (b / 8)` to `2 ** ((b + 1) / 8)` ms, so each is 9 % wide. Within a bucket the ends are
taken to be spread evenly. All times are in ms of the fleet's clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

BUCKETS_A_DOUBLING: Final = 8
#: Each observation counts this much in the histogram, so that halving keeps fractions.
WEIGHT: Final = 16
#: Fewer observations than this say little.
ENOUGH: Final = 8
#: An end that was noticed later than this share of its age teaches nothing: somebody was asleep.
LATE_SHARE: Final = 0.5
#: A first read that finds the end says only that it came before: it is learnt as two buckets earlier, so that the
#: estimate follows jobs that have become shorter instead of standing where the reads are.
FIRST_READ_FACTOR: Final = 2 ** (-2 / BUCKETS_A_DOUBLING)


@dataclass(frozen=True, slots=True)
class Durations:
    """What was learnt of one kind; `weights` by bucket, in order."""

    weights: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, histogram: Mapping[int, int]) -> Durations:
        """Return the durations of a histogram."""
        return cls(tuple(sorted((bucket, weight) for bucket, weight in histogram.items() if weight > 0)))

    @property
    def known(self) -> bool:
        """Say whether enough has been seen to go by."""
        return self._total() >= ENOUGH * WEIGHT

    def mean_ms(self) -> float:
        """Return the mean; 0 when nothing was learnt."""
        total = self._total()
        return sum(weight * (_edge(b) + _edge(b + 1)) / 2 for b, weight in self.weights) / total if total else 0.0

    def over_by(self, age_ms: float) -> float:
        """Return the share that is over at an age."""
        passed = 0.0
        for bucket, weight in self.weights:
            low, high = _edge(bucket), _edge(bucket + 1)
            if age_ms >= high:
                passed += weight
            else:
                passed += weight * max(0.0, age_ms - low) / (high - low)
                break
        total = self._total()
        return passed / total if total else 0.0

    def age_ms(self, share: float) -> int:
        """Return the age at which `share` (0 to 1) are over; 0 when nothing was learnt."""
        wanted, passed, age = share * self._total(), 0.0, 0.0
        for bucket, weight in self.weights:
            low, high = _edge(bucket), _edge(bucket + 1)
            age = high
            if passed + weight >= wanted:
                age = low + (high - low) * (wanted - passed) / weight
                break
            passed += weight
        return int(age)

    def next_age_ms(self, age_ms: float, share: float) -> int | None:
        """Return the age at which `share` of those that run at `age_ms` are over; None when all ever seen are."""
        over = self.over_by(age_ms)
        # Ends were noticed at reads, so beyond the last of them nothing is known.
        return None if over >= 1 or not self.weights else self.age_ms(over + (1 - over) * share)

    def _total(self) -> int:
        return sum(weight for _, weight in self.weights)


def observed_ms(age_ms: int, *, read_before_ms: int | None, planned_ms: int | None) -> int | None:
    """Return what a read at `age_ms` that finds the end teaches; None when it came too late to teach anything.

    `read_before_ms`: the age at the read before, which found it running; None when this was the first one, which was
    planned for the age `planned_ms` (None: by no learnt durations).
    """
    if read_before_ms is None:
        late = planned_ms is not None and age_ms - planned_ms > age_ms * LATE_SHARE
        return None if late else int(age_ms * FIRST_READ_FACTOR)
    return None if age_ms - read_before_ms > age_ms * LATE_SHARE else (age_ms + read_before_ms) // 2


def _edge(bucket: int) -> float:
    return float(2 ** (bucket / BUCKETS_A_DOUBLING))
