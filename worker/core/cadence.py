"""When to read an ingest or a job: not before it can be over, then as often as it pays.

Durations are learnt per workflow and capture type in a histogram of log buckets (`worker/lua/learn.lua`): bucket `b`
holds jobs of `2 ** (b / 8)` to `2 ** ((b + 1) / 8)` ms. All times here are in ms of the fleet's clock; the API's own
durations are scaled by the caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: The share of learnt jobs that may be over before the first read.
EARLY_SHARE: Final = 0.01
#: With webhooks, the share of learnt jobs whose webhook should have come before the first read.
TAIL_SHARE: Final = 0.99
#: Fewer jobs than this say little; the default first read stays.
ENOUGH_JOBS: Final = 8
#: Each job counts this much in the histogram, so that halving keeps fractions.
WEIGHT: Final = 16


def first_read_ms(histogram: Mapping[int, int], default_ms: int) -> int:
    """Return how long after its creation a job is first read.

    The lower edge of the bucket in which the first `EARLY_SHARE` of the learnt jobs ended; `default_ms` until enough
    jobs have ended, and never later than that bucket's edge allows.
    """
    total = sum(histogram.values())
    if total < ENOUGH_JOBS * WEIGHT:
        return default_ms
    passed = 0.0
    for bucket in sorted(histogram):
        passed += histogram[bucket]
        if passed > total * EARLY_SHARE:
            return int(2 ** (bucket / 8))
    return default_ms


def recovery_read_ms(histogram: Mapping[int, int], *, default_ms: int, margin_ms: int) -> int:
    """Return how long after its creation a job is first read whose end a webhook should tell.

    The upper edge of the bucket by which `TAIL_SHARE` of the learnt jobs have ended, and a margin for the sender's own
    retries; `default_ms` until enough jobs have ended.
    """
    total = sum(histogram.values())
    if total < ENOUGH_JOBS * WEIGHT:
        return default_ms
    passed = 0.0
    for bucket in sorted(histogram):
        passed += histogram[bucket]
        if passed >= total * TAIL_SHARE:
            return int(2 ** ((bucket + 1) / 8)) + margin_ms
    return default_ms


def recovery_pause_ms(polls: int, base_ms: int) -> int:
    """Return the pause until such a job is read again: `base_ms`, growing to four times that."""
    return base_ms * min(4, 1 + polls)


def next_read_ms(*, waiting: int, polls: int, busy_ms: int, gentle_ms: int) -> int:
    """Return the pause until a job is read again.

    With photos waiting (`waiting` > 0) a read that finds a free slot is worth its grant, so the pause is `busy_ms` and
    the paced read budget decides; with none it grows from `gentle_ms` to four times that.
    """
    if waiting > 0:
        return busy_ms
    return int(gentle_ms * min(4.0, 1.0 + polls / 10))


def next_ingest_read_ms(polls: int, base_ms: int) -> int:
    """Return the pause until an ingest is read again: `base_ms`, half as much more each time, at most five times it."""
    return int(base_ms * min(5.0, 1.5 ** min(polls, 10)))
