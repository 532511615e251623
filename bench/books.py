"""Arithmetic on the sandbox's books: pure, in ms of the API's time unless said otherwise.

A job is a mapping with `created_ms`, `ends_ms` and `seen_ms` (when an answer or a webhook first told its end).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Final

Job = Mapping[str, Any]
MINUTE_MS: Final = 60_000


def slot_use(jobs: Sequence[Job], slots: int, *, after_ms: float = 0) -> float:
    """Return the share of `slots` in which a job ran, between ramp-up (all slots once taken) and the last create.

    With `after_ms` only the time after it counts. Raises ValueError when so few jobs ran that nothing is left.
    """
    created = sorted(job["created_ms"] for job in jobs)
    if len(created) < slots:
        raise ValueError(f"{len(created)} jobs never took {slots} slots")
    begin, end = max(created[slots - 1], after_ms), created[-1]
    if end <= begin:
        raise ValueError(f"nothing was created after the {slots} slots were taken")
    busy = sum(max(0, min(job["ends_ms"], end) - max(job["created_ms"], begin)) for job in jobs)
    return float(busy / (slots * (end - begin)))


def budget_use(jobs: Sequence[Job], per_minute: int) -> float:
    """Return the share of a write budget that was used, from the end of its first fill to the last create.

    A sliding window gives its calls back as they were taken, in bursts: only whole fills say how fast it can go. So the
    creates after the last whole multiple of `per_minute` are left out. Raises ValueError for fewer than two fills.
    """
    created = sorted(job["created_ms"] for job in jobs)
    fills = len(created) // per_minute
    if fills < 2:  # noqa: PLR2004 - one to begin, one to measure
        raise ValueError(f"{len(created)} creates are fewer than two fills of {per_minute}")
    span_ms = created[fills * per_minute - 1] - created[per_minute - 1]
    return float((fills - 1) * MINUTE_MS / span_ms)


def detection_s(jobs: Sequence[Job]) -> float:
    """Return the median time from a job's end to the answer or webhook that told it, in seconds of the API's time."""
    return float(median(job["seen_ms"] - job["ends_ms"] for job in jobs if job["seen_ms"] is not None)) / 1000


def refill_s(jobs: Sequence[Job], slots: int) -> float:
    """Return the median time from a job's end to the create that takes its slot, in seconds of the API's time."""
    created = sorted(job["created_ms"] for job in jobs)[slots:]
    ended = sorted(job["ends_ms"] for job in jobs)[: len(created)]
    return float(median(later - earlier for earlier, later in zip(ended, created, strict=True))) / 1000


def slots_over_time(jobs: Sequence[Job], points: int) -> list[tuple[float, float]]:
    """Return (seconds since the first create, slots in use on average) for `points` equal stretches of the run."""
    begin, end = min(job["created_ms"] for job in jobs), max(job["ends_ms"] for job in jobs)
    step = (end - begin) / points
    busy = [0.0] * points
    for job in jobs:
        first, last = int((job["created_ms"] - begin) / step), int((job["ends_ms"] - begin) / step)
        for at in range(first, min(last, points - 1) + 1):
            left, right = begin + at * step, begin + (at + 1) * step
            busy[at] += max(0.0, min(job["ends_ms"], right) - max(job["created_ms"], left))
    return [((at + 0.5) * step / 1000, used / step) for at, used in enumerate(busy)]


def overheads_ms(
    books: Mapping[str, Any], begun_ms: Mapping[str, float], done_ms: Mapping[str, float], speed: float
) -> dict[str, float]:
    """Return for each photo (by `metadata.photo_id`) how much longer it took than its ingest and its job, in real ms.

    `begun_ms`, `done_ms`: when the photo was handed over and completed, in real ms of one clock.
    """
    ingests = {ingest["asset_id"]: ingest for ingest in books["ingests"]}
    found = {}
    for job in books["jobs"]:
        photo = job["metadata"]["photo_id"]
        ingest = ingests[job["asset_id"]]
        own_ms = (ingest["ready_ms"] - ingest["created_ms"] + job["ends_ms"] - job["created_ms"]) / speed
        found[photo] = done_ms[photo] - begun_ms[photo] - own_ms
    return found


def creates_between(jobs: Sequence[Job], partner: str, since_ms: float) -> int:
    """Return how many jobs of others were created after `since_ms` and before the first one of `partner`.

    Raises ValueError when `partner` has none.
    """
    firsts = [job["created_ms"] for job in jobs if job["metadata"]["partner"] == partner]
    if not firsts:
        raise ValueError(f"{partner} has no job")
    return sum(since_ms < job["created_ms"] < min(firsts) for job in jobs if job["metadata"]["partner"] != partner)


def wall_ms(books: Mapping[str, Any], api_ms: float, speed: float) -> float:
    """Return a time of the API's clock as real ms since the epoch."""
    return float(books["wall_ms"] - (books["now_ms"] - api_ms) / speed)
