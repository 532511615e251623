"""Photos that should have moved and did not: steps long due, leases long over, jobs long in flight. It only reads.

A photo that waits for a budget, a turn, a person or a cap is not late.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from worker.core.photo import StepName
from worker.lua import Scripts

#: So many photos are named of each kind.
NAMED: Final = 3
LEASES: Final = "leases"
SLOTS: Final = "slots"


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """Photos that are late in one way: a step's name, `leases` or `slots`; by how much the latest is, in ms."""

    what: str
    count: int
    late_ms: int
    #: Some of them, the latest first, as `listing/photo`.
    names: tuple[str, ...]


class Lateness:
    """What is late in one account."""

    def __init__(self, scripts: Scripts, *, clock: str = "") -> None:
        """`clock`: a pushed time in ms for tests, empty in production."""
        self.clock = clock
        self._scripts = scripts
        self._root = scripts.root
        # redis-py types its replies for bytes and text alike; ours are text.
        self._redis: Any = scripts.redis

    async def late(self, *, grace_ms: int, job_ms: int) -> list[Late]:
        """Return what is overdue by more than `grace_ms`, and jobs in flight for more than `job_ms` besides.

        Raises `redis.exceptions.RedisError`.
        """
        now_ms = await self._scripts.now_ms(self.clock)
        sets = {step.value: f"due:{step.value}" for step in StepName} | {LEASES: LEASES, SLOTS: SLOTS}
        before_ms = dict.fromkeys(sets, now_ms - grace_ms) | {SLOTS: now_ms - grace_ms - job_ms}
        async with self._redis.pipeline(transaction=False) as pipe:
            for what, key in sets.items():
                pipe.zcount(f"{self._root}{key}", "-inf", before_ms[what])
                pipe.zrangebyscore(f"{self._root}{key}", "-inf", before_ms[what], start=0, num=NAMED, withscores=True)
            answers = await pipe.execute()
        found = []
        for what, count, oldest in zip(sets, answers[::2], answers[1::2], strict=True):
            if count:
                late_ms = int(before_ms[what] + grace_ms - oldest[0][1])
                names = await self._names([key for key, _ in oldest])
                found.append(Late(what=what, count=int(count), late_ms=late_ms, names=names))
        return found

    async def _names(self, keys: list[str]) -> tuple[str, ...]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hmget(f"{self._root}p:{key}", "listing_id", "photo_id")
            rows = await pipe.execute()
        return tuple(f"{listing}/{photo}" if listing else key for key, (listing, photo) in zip(keys, rows, strict=True))
