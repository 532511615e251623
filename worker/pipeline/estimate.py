"""What enqueueing would do and cost, without doing any of it: the ledger and the store are read, the API is not."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from worker.core.identity import fingerprint, photo_key
from worker.core.photo import ENDED, HELD, NewListing, Stage
from worker.storage.manifest import Manifest, find_earlier_life

if TYPE_CHECKING:
    from worker.services import Services

#: Manifests that are looked for at once.
_AT_ONCE: Final = 64


class Outlook(StrEnum):
    """What would become of one photo."""

    NEW = "new"  #: would be bought
    CHANGED = "changed"  #: known with another request: would be bought anew
    STAGED = "staged"  #: its result is in the store: free
    PAID = "paid"  #: its job is bought, its outputs are not stored yet: free
    ON_ITS_WAY = "on_its_way"  #: known with this request: nothing would change
    HELD = "held"  #: failed or held: nothing would change without `replay`


async def outlook(services: Services, listings: Sequence[NewListing]) -> Counter[Outlook]:
    """Return how many photos of these listings would be what. Raises RedisError, StoreError."""
    photos = [(listing.listing_id, photo) for listing in listings for photo in listing.photos]
    redis: Any = services.account.redis
    async with redis.pipeline(transaction=False) as pipe:
        for listing_id, photo in photos:
            key = photo_key(listing_id, photo.photo_id)
            pipe.hmget(f"{services.account.scripts.root}p:{key}", "stage", "fingerprint")
        rows = await pipe.execute()
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(listing_id: str, photo_id: str, wanted: str, stage: str | None, known: str | None) -> Outlook:
        if stage is not None and known == wanted and stage != Stage.CANCELLED:
            return _of_stage(Stage(stage))
        async with gate:
            earlier = await find_earlier_life(services.store, listing_id, photo_id, wanted)
        if earlier is not None:
            return Outlook.STAGED if isinstance(earlier, Manifest) else Outlook.PAID
        # One that was withdrawn before its create is bought as if it were new.
        return Outlook.NEW if stage is None or known == wanted else Outlook.CHANGED

    return Counter(
        await asyncio.gather(
            *(
                one(listing_id, photo.photo_id, fingerprint(photo.request), *row)
                for (listing_id, photo), row in zip(photos, rows, strict=True)
            )
        )
    )


def _of_stage(stage: Stage) -> Outlook:
    if stage is Stage.DONE:
        return Outlook.STAGED
    return Outlook.HELD if stage in HELD | ENDED else Outlook.ON_ITS_WAY
