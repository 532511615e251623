"""What is sent for another picture of a photo: `POST /generations/{job_id}/regenerate`.

Guarantee: what an earlier life has left of this very picture is found before anything is sent. The body holds nothing
but the callback, which is all that the contract knows of it (section 12, point 42), so the answer's job id is what the
picture is known by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.core.identity import regenerate_key
from worker.core.photo import Photo
from worker.core.request import dumps
from worker.core.step import Step
from worker.pipeline.earlier import already_paid, already_staged
from worker.storage.latest import point_to
from worker.storage.manifest import Manifest, find_earlier_life

if TYPE_CHECKING:
    from worker.services import Services


def key_of(photo: Photo) -> str:
    """Return the Idempotency-Key of the regeneration that `photo` waits for."""
    names = (photo.account, photo.listing_id, photo.photo_id, photo.fingerprint)
    return regenerate_key(*names, regeneration=photo.regeneration, create_try=photo.create_try)


def regeneration_body(webhook_url: str | None) -> str:
    """Return the canonical JSON body of the call."""
    return dumps({} if webhook_url is None else {"webhook": {"url": webhook_url}})


async def earlier_regeneration(services: Services, photo: Photo) -> Step | None:
    """Return the step to a picture, or a paid job, of this number that Redis has forgotten. Raises StoreError."""
    if photo.create_try:
        return None
    names = (photo.listing_id, photo.photo_id, photo.fingerprint)
    earlier = await find_earlier_life(services.store, *names, photo.regeneration)
    if isinstance(earlier, Manifest):
        await point_to(services.store, earlier, accepted_ms=photo.accepted_ms)
        return already_staged(photo, earlier)
    return None if earlier is None else already_paid(earlier)


async def what_the_first_knows(services: Services, photo: Photo) -> dict[str, str]:
    """Return what the first picture's manifest says of the source; the ledger has forgotten it. Raises StoreError."""
    names = (photo.listing_id, photo.photo_id, photo.fingerprint)
    first = await find_earlier_life(services.store, *names)
    known = {
        "source_asset_id": first.source_asset_id if first else None,
        "source_sha256": first.source_sha256 if isinstance(first, Manifest) else None,
    }
    return {name: value for name, value in known.items() if value}
