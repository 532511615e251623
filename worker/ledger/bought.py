"""Whose job a job is: a record for each job that was bought, kept for as long as a bill may come.

Written by the script that settles the step in which a job's id becomes known (`worker/lua/bought.lua`); a day's records
are one hash, so that they expire together. What an emptied Redis forgot is entered again from the store's receipts.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from worker.core.identity import photo_key
from worker.core.photo import Stage
from worker.core.reconcile import Bought, Fate
from worker.lua import Scripts

DAY_MS: Final = 86_400_000
#: As in `worker/lua/bought.lua`.
KEPT_DAYS: Final = 62
#: Fields that one command of Redis is asked for.
_CHUNK: Final = 500
_FATES: Final = {Stage.DONE: Fate.STAGED, Stage.FAILED: Fate.FAILED, Stage.CANCELLED: Fate.CANCELLED}


class BoughtJobs:
    """The records of one account."""

    def __init__(self, scripts: Scripts) -> None:
        """All methods may raise RedisError."""
        self._root = scripts.root
        # redis-py types its replies for bytes and text alike; ours are text.
        self._redis: Any = scripts.redis

    async def between(self, since_ms: int, until_ms: int) -> dict[str, Bought]:
        """Return the jobs that became known on the days of a span, by id."""
        found: dict[str, Bought] = {}
        for day in range(max(since_ms // DAY_MS, until_ms // DAY_MS - KEPT_DAYS), until_ms // DAY_MS + 1):
            async for job_id, text in self._redis.hscan_iter(f"{self._root}bought:{day}", count=1000):
                found[job_id] = _bought(job_id, text)
        return found

    async def find(self, job_ids: Iterable[str], now_ms: int) -> dict[str, Bought]:
        """Return what is known of these jobs, whenever they became known."""
        found: dict[str, Bought] = {}
        wanted = list(job_ids)
        days = [f"{self._root}bought:{day}" for day in range(now_ms // DAY_MS - KEPT_DAYS, now_ms // DAY_MS + 2)]
        async with self._redis.pipeline(transaction=False) as pipe:
            for key in days:
                pipe.exists(key)
            known = [key for key, there in zip(days, await pipe.execute(), strict=True) if there]
        for at in range(0, len(wanted), _CHUNK):
            some = wanted[at : at + _CHUNK]
            async with self._redis.pipeline(transaction=False) as pipe:
                for key in known:
                    pipe.hmget(key, some)
                for texts in await pipe.execute():
                    pairs = zip(some, texts, strict=True)
                    found |= {job_id: _bought(job_id, text) for job_id, text in pairs if text is not None}
        return found

    async def enter(self, jobs: Sequence[Bought]) -> None:
        """Enter jobs that were found elsewhere; what is known already stays."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for job in jobs:
                key = f"{self._root}bought:{job.since_ms // DAY_MS}"
                pipe.hsetnx(key, job.job_id, _text(job))
                pipe.pexpireat(key, (job.since_ms // DAY_MS + KEPT_DAYS + 1) * DAY_MS)
            await pipe.execute()

    async def fates(self, jobs: Iterable[Bought]) -> AsyncIterator[Bought]:
        """Give back each job with what its photo's row says of it; without a row that has this job it is `GONE`."""
        wanted = list(jobs)
        for at in range(0, len(wanted), _CHUNK):
            some = wanted[at : at + _CHUNK]
            async with self._redis.pipeline(transaction=False) as pipe:
                for job in some:
                    pipe.hmget(f"{self._root}p:{photo_key(job.listing_id, job.photo_id)}", "stage", "job_id")
                rows = await pipe.execute()
            for job, (stage, job_id) in zip(some, rows, strict=True):
                if stage is None or job_id != job.job_id:
                    yield replace(job, fate=Fate.GONE)
                else:
                    yield replace(job, fate=_FATES.get(Stage(stage), Fate.OPEN))

    async def uncertain_assets(self) -> Mapping[str, str]:
        """Return the uncertain photos, as `listing/photo`, by their source asset."""
        keys = await self._redis.zrange(f"{self._root}held:{Stage.UNCERTAIN}", 0, -1)
        async with self._redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hmget(f"{self._root}p:{key}", "source_asset_id", "listing_id", "photo_id")
            rows = await pipe.execute()
        return {asset: f"{listing}/{photo}" for asset, listing, photo in rows if asset}


def _bought(job_id: str, text: str) -> Bought:
    listing_id, photo_id, partner, fingerprint, revision, asset, since_ms = json.loads(text)[:7]
    return Bought(
        job_id=job_id,
        listing_id=listing_id,
        photo_id=photo_id,
        partner=partner,
        fingerprint=fingerprint,
        revision=int(revision),
        source_asset_id=asset,
        since_ms=int(since_ms),
    )


def _text(job: Bought) -> str:
    parts = [job.listing_id, job.photo_id, job.partner, job.fingerprint, job.revision, job.source_asset_id]
    return json.dumps([*parts, job.since_ms], separators=(",", ":"))
