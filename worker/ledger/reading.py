"""Photos and listings in full, for whoever asks over HTTP: where each is, since when, and the way it came.

All methods may raise `redis.exceptions.RedisError`. A row that has ended is forgotten after the retention; a listing
still says how such a photo of it ended for as long as the listing itself is known.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from worker.core.identity import listing_key, photo_key
from worker.core.photo import Stage
from worker.ledger.rows import to_view
from worker.ledger.snapshot import PhotoView
from worker.lua import Scripts

#: Rows read in one round trip.
_CHUNK: Final = 500
#: The letters of `worker/lua/place.lua`.
LETTERS: Final[Mapping[str, Stage]] = {
    "a": Stage.ACCEPTED,
    "i": Stage.INGESTING,
    "r": Stage.INGESTED,
    "c": Stage.CREATING,
    "g": Stage.GENERATING,
    "s": Stage.STORING,
    "n": Stage.ANNOUNCING,
    "p": Stage.PARKED,
    "u": Stage.UNCERTAIN,
}
_TENTH_MS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoDetail:
    """One photo with all that is told of it. Times are milliseconds since the epoch, by Redis's clock."""

    view: PhotoView
    priority: int
    #: The request as it was enqueued; its source may be a signed URL, which is a secret.
    request: Mapping[str, Any]
    metadata: Mapping[str, str]
    #: The `reference` of its job, while the row knows it; a regeneration's job has none.
    reference: str | None
    #: The stages that it went through in this revision, to a tenth of a second; the present one last.
    history: tuple[tuple[Stage, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPhoto:
    """A photo of a listing; without `view` its row has ended and is forgotten."""

    photo_id: str
    stage: Stage
    view: PhotoView | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingDetail:
    """A listing: how many photos are where, and some of them in the order of their ids."""

    listing_id: str
    partner: str
    metadata: Mapping[str, str]
    #: Photos that have not ended.
    open: int
    stages: Mapping[Stage, int]
    photos: tuple[ListedPhoto, ...]
    #: Whether there are more photos after these.
    more: bool


class Reader:
    """Reads one account's rows."""

    def __init__(self, scripts: Scripts, *, account: str) -> None:
        """Read below the account's root."""
        self._account = account
        self._redis: Any = scripts.redis
        self._root = scripts.root

    async def photo(self, listing_id: str, photo_id: str) -> PhotoDetail | None:
        """Return a photo; None when it is not in the ledger (or ended longer ago than the retention)."""
        key = photo_key(listing_id, photo_id)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hgetall(f"{self._root}p:{key}")
            pipe.get(f"{self._root}o:{key}")
            row, order = await pipe.execute()
        if not row:
            return None
        request_json, _, metadata_json = (order or "").partition("\n")
        view = to_view(key, self._account, row)
        return PhotoDetail(
            view=view,
            priority=int(row["priority"]),
            request=json.loads(request_json or "{}"),
            metadata=json.loads(metadata_json or "{}"),
            reference=None if "parent_job_id" in row else row.get("idempotency_key"),
            history=history_of(view, row.get("history", "")),
        )

    async def listing(self, listing_id: str, *, after: str = "", limit: int = 1_000) -> ListingDetail | None:
        """Return a listing with up to `limit` of its photos whose ids come after `after`; None when it is unknown."""
        found: Mapping[str, str] = await self._redis.hgetall(f"{self._root}l:{listing_key(listing_id)}")
        if not found:
            return None
        outcomes = {name[2:]: json.loads(text) for name, text in found.items() if name.startswith("p:")}
        named = sorted((outcome[0], key) for key, outcome in outcomes.items())
        stages: dict[str, Stage] = {}
        for start in range(0, len(named), _CHUNK):
            keys = [key for _, key in named[start : start + _CHUNK]]
            # A row that is forgotten had ended, and the listing knows how.
            stages |= {
                key: Stage(stage or outcomes[key][1])
                for key, stage in zip(keys, await self._stages(keys), strict=True)
                if stage or outcomes[key][1] != "open"
            }
        wanted = [(photo_id, key) for photo_id, key in named if photo_id > after and key in stages]
        page = wanted[:limit]
        views = await self._views([key for _, key in page])
        return ListingDetail(
            listing_id=listing_id,
            partner=found.get("partner", ""),
            metadata=json.loads(found.get("metadata") or "{}"),
            open=int(found.get("open", 0)),
            stages=Counter(stages.values()),
            photos=tuple(
                ListedPhoto(photo_id=photo_id, stage=view.stage if view else stages[key], view=view)
                for (photo_id, key), view in zip(page, views, strict=True)
            ),
            more=len(wanted) > limit,
        )

    async def names(self, listing_id: str) -> list[str]:
        """Return the ids of all photos of a listing, in order; none when it is unknown."""
        found: Mapping[str, str] = await self._redis.hgetall(f"{self._root}l:{listing_key(listing_id)}")
        return sorted(json.loads(text)[0] for name, text in found.items() if name.startswith("p:"))

    async def _stages(self, keys: Sequence[str]) -> list[str | None]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hget(f"{self._root}p:{key}", "stage")
            stages: list[str | None] = await pipe.execute()
        return stages

    async def _views(self, keys: Sequence[str]) -> list[PhotoView | None]:
        views: list[PhotoView | None] = []
        for start in range(0, len(keys), _CHUNK):
            some = keys[start : start + _CHUNK]
            async with self._redis.pipeline(transaction=False) as pipe:
                for key in some:
                    pipe.hgetall(f"{self._root}p:{key}")
                rows = await pipe.execute()
            views += [to_view(key, self._account, row) if row else None for key, row in zip(some, rows, strict=True)]
        return views


def history_of(view: PhotoView, noted: str) -> tuple[tuple[Stage, int], ...]:
    """Return the stages that a photo came through and when, in ms since the epoch; the present one last."""
    accepted_ms, now_at = view.accepted_ms, (view.stage, view.stage_since_ms)
    past = [
        (LETTERS[letter], accepted_ms + int(tenths) * _TENTH_MS)
        for letter, tenths in re.findall(r"([a-z])(\d+)", noted)
        if letter in LETTERS
    ]
    if past and past[-1][0] is now_at[0]:
        past.pop()
    elif now_at[0] is Stage.ACCEPTED and not past:
        return (now_at,)
    return ((Stage.ACCEPTED, accepted_ms), *past, now_at)
