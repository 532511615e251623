"""When the photos that wait will be done: from the cap, the budgets, the learnt durations and the order of turns.

A fluid picture of what the dispatcher does: photos end at one rate for the whole account, higher priorities first, and
within a priority each partner has its weight's share of that rate while it has photos waiting. The turn in four that
goes to the longest wait is left out: it moves lower priorities a little forward and higher ones a little back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

#: Milliseconds in a minute, for rates as people say them.
MINUTE_MS: Final = 60_000

Bound = Literal["slots", "creates", "sources"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What limits the account; times in ms of one clock throughout."""

    in_flight: int
    #: Creates and sources taken in, for each ms.
    creates_a_ms: float
    sources_a_ms: float
    #: How long a job runs in the mean.
    job_ms: float

    @property
    def photos_a_ms(self) -> float:
        """The photos that end in a ms once everything is full."""
        return min(self.in_flight / max(1.0, self.job_ms), self.creates_a_ms, self.sources_a_ms)

    @property
    def bound(self) -> Bound:
        """What it is that limits the rate."""
        limits: dict[Bound, float] = {
            "slots": self.in_flight / max(1.0, self.job_ms),
            "creates": self.creates_a_ms,
            "sources": self.sources_a_ms,
        }
        return min(limits, key=lambda name: limits[name])


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Photos of one partner in one priority whose jobs are still to be created."""

    partner: str
    priority: int
    photos: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """One partner's outlook: its share of the rate now (0 to 1), and when its last photo is done, in ms from now."""

    share: float
    done_ms: int


def outlooks(waiting: Iterable[Waiting], weights: Mapping[str, int], rates: Rates) -> dict[str, Outlook]:
    """Return each partner's outlook; a partner without photos waiting has none."""
    classes: dict[int, dict[str, float]] = {}
    for some in waiting:
        if some.photos > 0:
            found = classes.setdefault(some.priority, {})
            found[some.partner] = found.get(some.partner, 0.0) + some.photos
    begins_ms, first = 0.0, True
    ends: dict[str, float] = {}
    shares: dict[str, float] = {}
    for _, photos in sorted(classes.items(), reverse=True):
        weighs = {partner: max(1, weights.get(partner, 1)) for partner in photos}
        if first:
            shares = {partner: weight / sum(weighs.values()) for partner, weight in weighs.items()}
            first = False
        for partner, end_ms in _shared(photos, weighs, rates.photos_a_ms).items():
            ends[partner] = begins_ms + end_ms
        begins_ms += sum(photos.values()) / rates.photos_a_ms
    # The last photo's job still has to run once its turn has come.
    return {
        partner: Outlook(share=shares.get(partner, 0.0), done_ms=int(end_ms + rates.job_ms))
        for partner, end_ms in ends.items()
    }


def _shared(photos: Mapping[str, float], weights: Mapping[str, int], rate: float) -> dict[str, float]:
    """Return when each partner's photos are through, when all share one rate by weight and the others take over."""
    ends: dict[str, float] = {}
    now_ms, served = 0.0, 0.0
    active = sum(weights.values())
    for partner in sorted(photos, key=lambda name: photos[name] / weights[name]):
        level = photos[partner] / weights[partner]
        now_ms += (level - served) * active / rate
        served = level
        ends[partner] = now_ms
        active -= weights[partner]
    return ends
