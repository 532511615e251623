"""Photos whose create was never answered: the ones that wait, and the way on for those whose job is found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from worker.core.photo import Stage
from worker.ledger.rows import pairs
from worker.lua import Scripts

_PACKAGE: Final = "worker.ledger.lua"
#: Rows that one script reads: some milliseconds of Redis.
AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncertain:
    """One uncertain photo: what a job must agree with to be its own."""

    key: str
    listing_id: str
    photo_id: str
    source_asset_id: str | None
    idempotency_key: str | None
    #: What the API gives back as the job's reference; None for a regeneration, whose body can't name one.
    reference: str | None
    #: The first send of the create, in ms since the epoch; None when it is not known.
    sent_ms: int | None

    @property
    def label(self) -> str:
        """The photo's name for people."""
        return f"{self.listing_id}/{self.photo_id}"


class UncertainPhotos:
    """The uncertain photos of one account. All methods may raise RedisError."""

    def __init__(self, scripts: Scripts, *, clock: str = "") -> None:
        """`clock`: a pushed time in ms for tests; empty means Redis's own."""
        self.clock = clock
        self._scripts = scripts
        # redis-py types its replies for bytes and text alike; ours are text.
        self._redis: Any = scripts.redis

    async def all(self, *, job_deadline_ms: int) -> list[Uncertain]:
        """Return them, the oldest first; slots of those sent longer than `job_deadline_ms` ago are given back."""
        found: dict[str, Uncertain] = {}
        rank = 0
        while True:
            flat = await self._scripts.call(_PACKAGE, "uncertain", [self.clock, job_deadline_ms, rank, AT_ONCE])
            pages = zip(flat[::2], flat[1::2], strict=True)
            found |= {key: _uncertain(key, pairs(row)) for key, row in pages if row}
            if len(flat) < 2 * AT_ONCE:
                return list(found.values())
            # One that is resolved meanwhile moves the others forward: a page laps over the one before by half.
            rank += AT_ONCE // 2

    async def one(self, key: str) -> Uncertain | None:
        """Return one of them, however many there are; None when it is not uncertain (any more)."""
        row = await self._redis.hgetall(f"{self._scripts.root}p:{key}")
        return _uncertain(key, row) if row.get("stage") == Stage.UNCERTAIN else None

    async def resolve(self, key: str, job_id: str) -> bool:
        """Let a photo go on with its job; False when it is not uncertain (any more), or another has that job by now."""
        word, _ = await self._scripts.call(_PACKAGE, "resolve", [self.clock, key, job_id])
        return bool(word == "resolved")


def _uncertain(key: str, row: dict[str, str]) -> Uncertain:
    return Uncertain(
        key=key,
        listing_id=row["listing_id"],
        photo_id=row["photo_id"],
        source_asset_id=row.get("source_asset_id"),
        idempotency_key=row.get("idempotency_key"),
        reference=None if "parent_job_id" in row else row.get("idempotency_key"),
        sent_ms=int(row["sent_ms"]) if "sent_ms" in row else None,
    )
