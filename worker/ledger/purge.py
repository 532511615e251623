"""Forgets what has ended, before its time: ended photos' rows, webhooks of unknown jobs, dead letters. Nothing open."""

from __future__ import annotations

from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from worker.lua import Scripts

_PACKAGE: Final = "worker.ledger.lua"
#: Rows that one script looks at: some milliseconds of Redis.
_CHUNK: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """Rows that were (or would be) forgotten, those that are open or held, and those that ended later."""

    rows: int = 0
    open: int = 0
    later: int = 0


class Purge:
    """Purges one account's ledger. All methods may raise RedisError."""

    def __init__(self, scripts: Scripts) -> None:
        """Open nothing; what is purged is gone, and a photo that is enqueued again is told by its manifest alone."""
        self._scripts = scripts
        # redis-py types its replies for bytes and text alike; ours are text.
        self._redis: Any = scripts.redis

    async def rows(self, keys: Sequence[str], *, ended_before_ms: int, really: bool) -> Purged:
        """Forget these photos' rows, those that ended at or before a time; only counted unless `really`."""
        rows, still_open, later = 0, 0, 0
        for at in range(0, len(keys), _CHUNK):
            args: list[str | int] = ["1" if really else "", ended_before_ms, *keys[at : at + _CHUNK]]
            found = await self._scripts.call(_PACKAGE, "purge", args)
            rows, still_open, later = rows + int(found[0]), still_open + int(found[1]), later + int(found[2])
        return Purged(rows=rows, open=still_open, later=later)

    async def all_rows(self, *, ended_before_ms: int, really: bool) -> Purged:
        """Forget every row that ended at or before a time; only counted unless `really`."""
        total = Purged()
        async for some in self._keys():
            found = await self.rows(some, ended_before_ms=ended_before_ms, really=really)
            total = Purged(rows=total.rows + found.rows, open=total.open + found.open, later=total.later + found.later)
        return total

    async def inbox(self, *, before_ms: int, really: bool) -> int:
        """Forget webhooks of unknown jobs that came before a time; return how many (that would be)."""
        root = self._scripts.root
        jobs = await self._redis.zrangebyscore(f"{root}inbox", "-inf", before_ms)
        if really and jobs:
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.delete(*(f"{root}inbox:{job}" for job in jobs))
                pipe.zrem(f"{root}inbox", *jobs)
                await pipe.execute()
        return len(jobs)

    async def dead_letters(self, *, before_ms: int, really: bool) -> int:
        """Forget messages that sinks refused or failed to take before a time; return how many (that would be).

        Their photos have ended as they say; only the message is lost. By Redis's clock, which numbers them.
        """
        root, found = self._scripts.root, 0
        for field in await self._redis.hkeys(f"{root}sinks"):
            kind, _, sink = field.partition(":")
            if kind != "put":
                continue
            dead = f"{root}dead:{sink}"
            if really:
                found += int(await self._redis.xtrim(dead, minid=f"{before_ms}-0", approximate=False))
            else:
                found += await self._dead_before(dead, before_ms)
        return found

    async def _dead_before(self, dead: str, before_ms: int) -> int:
        found, first = 0, "-"
        while some := await self._redis.xrange(dead, first, f"({before_ms}-0", count=_CHUNK):
            found, first = found + len(some), f"({some[-1][0]}"
        return found

    async def _keys(self) -> AsyncIterable[list[str]]:
        prefix, cursor = f"{self._scripts.root}p:", 0
        pattern = "".join(f"\\{letter}" if letter in "*?[]\\" else letter for letter in prefix)
        while True:
            cursor, found = await self._redis.scan(cursor, match=f"{pattern}*", count=1000)
            if found:
                # A row that the scan gives twice is gone the second time, or counted twice by a dry run.
                yield [key.removeprefix(prefix) for key in dict.fromkeys(found)]
            if int(cursor) == 0:
                return
