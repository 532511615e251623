"""The cadence in force: learnt durations and the read budget of one account, for its steps and its dispatcher."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from worker.core import cadence
from worker.core.cadence import Load
from worker.core.durations import Durations
from worker.core.routes import Route
from worker.flow.limits import Limits, corrected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.lua import Scripts

#: Learnt durations and limits are read from Redis at most this often, in seconds.
KEPT_S: Final = 2.0
#: The kind under which all jobs are learnt together, and that of ingests by the way they are taken in.
ALL_JOBS: Final = "all"
INGEST_KINDS: Final[Mapping[bool, str]] = {False: "ingest:upload", True: "ingest:url"}
#: First reads before anything is learnt, least pauses with slots pressed and not, a call's own time. API time, ms.
FIRST_READ_MS: Final = 5_000
BUSY_READ_MS: Final = 300
UNKNOWN_READ_MS: Final = 1_000
GENTLE_READ_MS: Final = 2_000
#: With webhooks, the first read before anything is learnt, what a sender's retries may take, and the pause between
#: reads: they only make up for webhooks that were lost (contract, section 11).
RECOVERY_FIRST_MS: Final = 90_000
RECOVERY_MARGIN_MS: Final = 30_000
RECOVERY_READ_MS: Final = 15_000
#: The budget of ingest reads is not documented: a read that finds nothing costs more than a late one.
FIRST_INGEST_READ_MS: Final = 3_000
NEXT_INGEST_READ_MS: Final = 2_000
#: With so few photos on their way the budget is theirs, and each is read this soon.
FEW_PHOTOS: Final = 10
SOON_INGEST_READ_MS: Final = 1_000
CALL_MS: Final = 3_000


class Cadence:
    """When to read, and how many assets to have ready; durations are kept for a moment."""

    def __init__(self, scripts: Scripts, limits: Limits, *, speed: float) -> None:
        """`speed`: API time per fleet time."""
        self._root = scripts.root
        # redis-py types its replies for bytes and text alike; ours are text.
        self._redis: Any = scripts.redis
        self._limits = limits
        self._speed = speed
        self._in_force = (float("-inf"), limits)
        self._kept: dict[str, tuple[float, Durations]] = {}

    async def learnt(self, kind: str) -> Durations:
        """Return the durations of a kind. Raises `redis.exceptions.RedisError`."""
        read_s, durations = self._kept.get(kind, (float("-inf"), Durations()))
        if time.monotonic() - read_s > KEPT_S:
            # Whoever asks meanwhile goes by what was known: a batch asks once, not once a photo.
            self._kept[kind] = (time.monotonic(), durations)
            found = await self._redis.hgetall(f"{self._root}durations:{kind}")
            durations = Durations.of({int(bucket): int(weight) for bucket, weight in found.items() if bucket != "n"})
            self._kept[kind] = (time.monotonic(), durations)
        return durations

    async def first_job_read_ms(self, kind: str, *, load: Load) -> int:
        """Return the age at which a job of a kind is first read."""
        durations = await self.learnt(kind)
        return cadence.first_read_ms(durations, await self._share(durations, load), self._scaled(FIRST_READ_MS))

    async def next_job_read_ms(self, kind: str, *, age_ms: int, load: Load) -> int:
        """Return the pause until a job of `age_ms` that runs is read again."""
        durations = await self.learnt(kind)
        pressed = load.presses((await self.limits()).in_flight)
        least_ms = GENTLE_READ_MS if not pressed else BUSY_READ_MS if durations.known else UNKNOWN_READ_MS
        share = await self._share(durations, load)
        return cadence.next_read_ms(durations, share, age_ms=age_ms, least_ms=self._scaled(least_ms))

    async def recovery_read_ms(self, kind: str) -> int:
        """Return the age at which a job is first read whose end a webhook should tell before."""
        return cadence.recovery_read_ms(
            await self.learnt(kind),
            default_ms=self._scaled(RECOVERY_FIRST_MS),
            margin_ms=self._scaled(RECOVERY_MARGIN_MS),
        )

    def recovery_pause_ms(self, polls: int) -> int:
        """Return the pause until such a job is read again after `polls` reads that found it running."""
        return cadence.recovery_pause_ms(polls, self._scaled(RECOVERY_READ_MS))

    async def first_ingest_read_ms(self, kind: str, *, load: Load) -> int:
        """Return how long after its POST an ingest is first read."""
        if load.waiting < FEW_PHOTOS:
            return self._scaled(SOON_INGEST_READ_MS)
        durations = await self.learnt(kind)
        return cadence.first_read_ms(durations, cadence.INGEST_SHARE, self._scaled(FIRST_INGEST_READ_MS))

    async def next_ingest_read_ms(self, kind: str, *, age_ms: int, load: Load) -> int:
        """Return the pause until an ingest that is not ready is read again."""
        if load.waiting < FEW_PHOTOS:
            return max(self._scaled(SOON_INGEST_READ_MS), age_ms // 2)
        durations = await self.learnt(kind)
        least_ms = self._scaled(NEXT_INGEST_READ_MS)
        return cadence.next_read_ms(durations, cadence.INGEST_SHARE, age_ms=age_ms, least_ms=least_ms)

    async def look_ahead(self) -> int:
        """Return how many photos to have between the backlog of sources and a slot."""
        in_force = await self.limits()
        writes = in_force.budgets[Route.GENERATIONS]
        return cadence.look_ahead(
            await self.learnt(INGEST_KINDS[False]),
            await self.learnt(ALL_JOBS),
            writes_a_ms=writes.count / writes.window_ms,
            in_flight=in_force.in_flight,
            call_ms=self._scaled(CALL_MS),
        )

    async def limits(self) -> Limits:
        """Return the limits in force: the settings', corrected by what the API reports and what was learnt."""
        read_s, limits = self._in_force
        if time.monotonic() - read_s > KEPT_S:
            self._in_force = (time.monotonic(), limits)
            limits = corrected(self._limits, await self._redis.hgetall(f"{self._root}limits"))
            self._in_force = (time.monotonic(), limits)
        return limits

    async def _share(self, durations: Durations, load: Load) -> float:
        limits = await self.limits()
        reads = limits.budgets[Route.GENERATION_READS]
        reads_a_ms = reads.count / (reads.window_ms - limits.guard_ms)
        return cadence.read_share(durations, load, reads_a_ms=reads_a_ms, slots=limits.in_flight)

    def _scaled(self, api_ms: int) -> int:
        return int(api_ms / self._speed)
