"""What the account's photos may expect: rates in force, photos that wait by partner, and when they will be done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from typing import Final

from worker.core.forecast import Outlook, Rates, Waiting, outlooks
from worker.core.routes import Route
from worker.flow.cadence import ALL_JOBS, Cadence
from worker.lua import Scripts

_PACKAGE: Final = "worker.flow.lua"
#: A job's time before any has been seen, in ms of the API's time: nothing is documented.
UNSEEN_JOB_MS: Final = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """The account's prospects. Times are in ms of the fleet's clock, which is the one on the wall."""

    rates: Rates
    #: Whether the job's time was learnt from jobs that ended, or is assumed.
    learnt: bool
    waiting: tuple[Waiting, ...]
    weights: Mapping[str, int]

    def partners(self) -> dict[str, Outlook]:
        """Return each waiting partner's share and when it will be done."""
        return outlooks(self.waiting, self.weights, self.rates)

    def without(self, partners: Container[str]) -> Prospect:
        """Return the prospects of the others if these have no turns."""
        return replace(self, waiting=tuple(some for some in self.waiting if some.partner not in partners))

    def photos_of(self, partners: Container[str]) -> dict[str, int]:
        """Return how many photos of each of these partners wait."""
        found: Counter[str] = Counter()
        for some in self.waiting:
            if some.partner in partners:
                found[some.partner] += some.photos
        return dict(sorted(found.items()))

    def done_ms(self, photos: int) -> int:
        """Return when the last of so many photos would be done, if nothing else waited."""
        return int(photos / self.rates.photos_a_ms + self.rates.job_ms) if photos else 0

    def given(
        self,
        *,
        in_flight: int | None = None,
        creates_a_minute: float | None = None,
        sources_a_minute: float | None = None,
        job_s: float | None = None,
    ) -> Prospect:
        """Return the prospects if the limits, or the job's time, were others."""
        rates = self.rates
        if in_flight is not None:
            rates = replace(rates, in_flight=in_flight)
        if creates_a_minute is not None:
            rates = replace(rates, creates_a_ms=creates_a_minute / 60_000)
        if sources_a_minute is not None:
            rates = replace(rates, sources_a_ms=sources_a_minute / 60_000)
        if job_s is not None:
            return replace(self, rates=replace(rates, job_ms=job_s * 1000), learnt=True)
        return replace(self, rates=rates)


class Prospects:
    """Reads the prospects of one account."""

    def __init__(self, scripts: Scripts, cadence: Cadence, *, weights: Mapping[str, int], speed: float) -> None:
        """`speed`: API time per fleet time."""
        self._scripts = scripts
        self._cadence = cadence
        self._weights = weights
        self._speed = speed

    async def read(self) -> Prospect:
        """Return the prospects now. Raises `redis.exceptions.RedisError`."""
        flat = await self._scripts.call(_PACKAGE, "queues", [])
        jobs = await self._cadence.learnt(ALL_JOBS)
        limits = await self._cadence.limits()
        creates, sources = limits.budgets[Route.GENERATIONS], limits.budgets[Route.SOURCE_ASSETS]
        return Prospect(
            rates=Rates(
                in_flight=limits.in_flight,
                creates_a_ms=creates.count / (creates.window_ms - limits.guard_ms),
                sources_a_ms=sources.count / (sources.window_ms - limits.guard_ms),
                job_ms=jobs.mean_ms() if jobs.known else UNSEEN_JOB_MS / self._speed,
            ),
            learnt=jobs.known,
            waiting=tuple(
                Waiting(priority=int(flat[at]), partner=str(flat[at + 1]), photos=int(flat[at + 2]))
                for at in range(0, len(flat), 3)
            ),
            weights=self._weights,
        )
