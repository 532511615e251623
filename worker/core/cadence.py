"""When to read an ingest or a job: not before it can be over, then where a read is likeliest to find an end.

A read is due when a fixed share of those of its kind that got as far would have ended since the last one. So reads go
where they pay, as many for each job as the budget has, and the due set's order is the order of likelihood. All times
are in ms of the fleet's clock; the API's own durations are scaled by the caller.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from worker.core.durations import Durations

#: Slots are pressed when photos wait and at least this part of them is in use: only then does a read win a create.
PRESSED: Final = 0.8
#: The share of running jobs that may end between two reads when slots are not pressed: a few reads a job, and more for
#: the few jobs whose listings somebody may be waiting for.
GENTLE_SHARE: Final = 0.5
FEW_SHARE: Final = 0.1
FEW_JOBS: Final = 10
#: With slots pressed a share is never larger than this, however small the read budget, and never smaller: what
#: two dozen reads a job leave to be won is not worth their cost.
MOST_SHARE: Final = 0.5
LEAST_SHARE: Final = 0.04
#: The part of the read budget that is planned with; the rest is for other reads of jobs.
PLANNED: Final = 0.95
#: With webhooks, the share of jobs whose webhook should have come before the first read.
TAIL_SHARE: Final = 0.99
#: The share of ingests that is ready at the first read, and of the others at each further one: an ingest waits for
#: nobody, and its read budget is small.
INGEST_SHARE: Final = 0.98
#: Past all ages ever seen the pause grows with the time since: to this part of it.
OVERDUE_PART: Final = 0.1
#: Ready assets for each create that an ingest's time can see, and a few besides.
AHEAD_FACTOR: Final = 1.5
AHEAD_BESIDES: Final = 4


def busy_share(durations: Durations, *, reads_a_ms: float, jobs: int) -> float:
    """Return the share of running jobs that may end between two reads so that all reads of the budget are used.

    `jobs` in flight end at `jobs / mean` a ms, so each may have `reads_a_ms * mean / jobs` reads; and a job is read
    about once for each share of its kind that ends.
    """
    reads_a_job = PLANNED * reads_a_ms * durations.mean_ms() / max(1, jobs)
    return min(MOST_SHARE, max(LEAST_SHARE, 1 / max(1.0, reads_a_job)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How busy an account is: photos on their way to a slot, and jobs in flight."""

    waiting: int = 0
    in_flight: int = 0

    def presses(self, slots: int) -> bool:
        """Say whether a job's end, noticed sooner, would be another job's begin."""
        return self.waiting > 0 and self.in_flight >= PRESSED * slots


def read_share(durations: Durations, load: Load, *, reads_a_ms: float, slots: int) -> float:
    """Return the share of running jobs that may end between two reads, by what a read can win."""
    if load.presses(slots):
        return busy_share(durations, reads_a_ms=reads_a_ms, jobs=slots)
    return FEW_SHARE if load.in_flight <= FEW_JOBS else GENTLE_SHARE


def first_read_ms(durations: Durations, share: float, default_ms: int) -> int:
    """Return the age at which a job is first read: when `share` are over; `default_ms` until enough is known."""
    return max(1, durations.age_ms(share)) if durations.known else default_ms


def next_read_ms(durations: Durations, share: float, *, age_ms: int, least_ms: int) -> int:
    """Return the pause until a job of `age_ms` is read again, at least `least_ms`."""
    if not durations.known:
        return least_ms
    due_ms = durations.next_age_ms(age_ms, share)
    if due_ms is None:
        return max(least_ms, int((age_ms - durations.age_ms(1)) * OVERDUE_PART))
    return max(least_ms, due_ms - age_ms)


def recovery_read_ms(durations: Durations, *, default_ms: int, margin_ms: int) -> int:
    """Return the age at which a job is first read whose end a webhook should tell: after nearly all of them have come.

    `margin_ms` is for the sender's own retries; `default_ms` until enough is known.
    """
    return durations.age_ms(TAIL_SHARE) + margin_ms if durations.known else default_ms


def recovery_pause_ms(polls: int, base_ms: int) -> int:
    """Return the pause until such a job is read again: `base_ms`, growing to four times that."""
    return base_ms * min(4, 1 + polls)


def look_ahead(ingests: Durations, jobs: Durations, *, writes_a_ms: float, in_flight: int, call_ms: int) -> int:
    """Return how many photos to have between the backlog of sources and a slot, so that no free slot waits for one.

    Slots are filled as fast as creates are allowed, and at most twice as fast as jobs end in the mean; an asset is
    ready after a call of `call_ms` and its ingest. Until both are known it is a photo a slot.
    """
    if not (ingests.known and jobs.known):
        return in_flight
    rate = min(writes_a_ms, 2 * in_flight / max(1.0, jobs.mean_ms()))
    return AHEAD_BESIDES + math.ceil(AHEAD_FACTOR * rate * (call_ms + ingests.age_ms(INGEST_SHARE)))
