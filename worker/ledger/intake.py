"""Counts of what came in from the network, by door: listings, photos by what became of them, bad records.

They are for people and metrics; a hand-over that was cut short may be missing in them, never in the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker.lua import Scripts


class IntakeCounters:
    """The counters of one account; all methods may raise `redis.exceptions.RedisError`."""

    def __init__(self, scripts: Scripts) -> None:
        """Count below the account's root."""
        self._redis: Any = scripts.redis
        self._key = f"{scripts.root}intake"

    async def add(self, door: str, counts: Mapping[str, int]) -> None:
        """Add to the counts of a door (`http`, `celery`)."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for name, count in counts.items():
                pipe.hincrby(self._key, f"{door}:{name}", count)
            await pipe.execute()

    async def totals(self) -> dict[tuple[str, str], int]:
        """Return all counts since the ledger began, by door and name."""
        found = await self._redis.hgetall(self._key)
        return {
            (door, name): int(count) for (door, _, name), count in ((f.partition(":"), c) for f, c in found.items())
        }
