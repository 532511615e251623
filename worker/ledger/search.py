"""Finds photos by partner and stage, for commands that are about many of them.

Guarantee: every photo that is in the ledger from before the search until its end is found, wherever it moves meanwhile.
It goes through the keys in small steps, so nobody waits for it, however many photos there are.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection
from typing import TYPE_CHECKING, Any, Final

from worker.core.photo import Stage
from worker.ledger.verdicts import PhotoName

if TYPE_CHECKING:
    from worker.ledger.ledger import Ledger

#: Keys that one step looks at.
AT_ONCE: Final = 1_000


async def find_photos(
    ledger: Ledger, *, stages: Collection[Stage], partner: str | None = None
) -> AsyncIterator[tuple[PhotoName, Stage]]:
    """Yield each photo that is in one of `stages`, of one partner or of all, once. Raises RedisError."""
    redis: Any = ledger.scripts.redis
    pattern = re.sub(r"([*?\[\]\\])", r"\\\1", f"{ledger.scripts.root}p:") + "*"
    found: set[PhotoName] = set()
    cursor = 0
    while True:
        cursor, keys = await redis.scan(cursor, match=pattern, count=AT_ONCE)
        async with redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hmget(key, "listing_id", "photo_id", "partner", "stage")
            rows = await pipe.execute() if keys else []
        for listing_id, photo_id, its_partner, stage in rows:
            if stage in stages and partner in (None, its_partner) and (listing_id, photo_id) not in found:
                found.add((listing_id, photo_id))
                yield (listing_id, photo_id), Stage(stage)
        if not cursor:
            return
