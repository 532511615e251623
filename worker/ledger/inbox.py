"""Webhooks in the ledger: each is applied, or kept until its job is known here, by one script before it is answered.

A kept one is applied by whatever settles a photo with that job's id. All methods may raise
`redis.exceptions.RedisError`; taking the same notice in twice does no harm.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from worker.katalo.notice import Notice
from worker.lua import Scripts

_PACKAGE: Final = "worker.ledger.lua"
#: How long a webhook of an unknown job is kept: whoever lost a ledger enqueues again within days.
KEPT_MS: Final = 7 * 86_400_000
#: So many are kept at most, the newest; a thousand bytes each.
MAX_KEPT: Final = 10_000
#: So many jobs found to be over by reading, one after another without any webhook, say that webhooks do not come.
SILENT_AFTER: Final = 20


class Outcome(StrEnum):
    """What became of a webhook; the value is what metrics and `webhooks` in Redis name it."""

    APPLIED = "applied"  #: the photo goes on to storing, and its job needs no read
    READ = "read"  #: its job is read now: failed, contradictory, empty, or of an unknown type
    KEPT = "kept"  #: its job is not known here (yet)
    DUPLICATE = "duplicate"  #: it had come before
    LATE = "late"  #: its job was seen to be over before
    IGNORED = "ignored"  #: it names no job
    REFUSED = "refused"  #: no secret signed it
    UNREADABLE = "unreadable"  #: signed, but no JSON object
    PROBE = "probe"  #: `stagecrew doctor` asked whether webhooks arrive
    TOO_LARGE = "too_large"  #: larger than a webhook can be


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A webhook whose job is not known here yet."""

    event_type: str
    job_id: str
    reference: str | None
    source_asset_id: str | None
    since_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Webhooks of an account so far, by outcome; how many are kept; jobs read as over since the last one came."""

    outcomes: Mapping[Outcome, int]
    kept: int
    unheard: int


class Inbox:
    """The webhooks of one account."""

    def __init__(self, scripts: Scripts, *, max_kept: int = MAX_KEPT, clock: str = "") -> None:
        """`clock`: a pushed time in ms for tests, empty in production."""
        self.clock = clock
        self._scripts = scripts
        self._max_kept = max_kept
        # redis-py types its replies for bytes and text alike; ours are text.
        self._redis: Any = scripts.redis

    async def take(self, notice: Notice) -> Outcome:
        """Store what a webhook says; it may be answered with success from then on."""
        urls = [{"role": output.role, "url": output.url} for output in notice.outputs]
        kept = {
            "event_type": notice.event_type,
            "job_id": notice.job_id or "",
            "reference": notice.reference or "",
            "source_asset_id": notice.source_asset_id or "",
            "outputs": json.dumps({"urls": urls}) if urls else "",
        }
        args: list[str | int] = [self.clock, *(kept[name] for name in ("event_type", "job_id", "reference"))]
        args += [kept["outputs"], kept["source_asset_id"], json.dumps(kept), self._max_kept, KEPT_MS]
        return Outcome(await self._scripts.call(_PACKAGE, "notice", args))

    async def count(self, outcome: Outcome) -> None:
        """Count a webhook that was turned away, or that only asks."""
        await self._redis.hincrby(f"{self._scripts.root}webhooks", outcome.value, 1)

    async def silent(self) -> bool:
        """Say whether webhooks seem not to come at all."""
        return int(await self._redis.get(f"{self._scripts.root}unheard") or 0) >= SILENT_AFTER

    async def tally(self) -> Tally:
        """Return the counts, every outcome included."""
        root = self._scripts.root
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hgetall(f"{root}webhooks")
            pipe.zcard(f"{root}inbox")
            pipe.get(f"{root}unheard")
            counts, kept, unheard = await pipe.execute()
        outcomes = {outcome: int(counts.get(outcome.value, 0)) for outcome in Outcome}
        return Tally(outcomes=outcomes, kept=int(kept), unheard=int(unheard or 0))

    async def kept(self, limit: int = 1000) -> list[Kept]:
        """Return kept webhooks, the newest first; a create whose answer was lost may be found among them."""
        root = self._scripts.root
        found = await self._redis.zrevrange(f"{root}inbox", 0, limit - 1, withscores=True)
        texts = await self._redis.mget([f"{root}inbox:{job}" for job, _ in found]) if found else []
        return [
            _kept(json.loads(text), int(since_ms)) for (_, since_ms), text in zip(found, texts, strict=True) if text
        ]


def _kept(news: Mapping[str, str], since_ms: int) -> Kept:
    return Kept(
        event_type=news["event_type"],
        job_id=news["job_id"],
        reference=news["reference"] or None,
        source_asset_id=news["source_asset_id"] or None,
        since_ms=since_ms,
    )
