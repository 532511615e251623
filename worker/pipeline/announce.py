"""Announces a staged photo: the message and the end of the photo are one script, so they happen together, once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from worker.core.events import photo_staged
from worker.core.photo import Photo, Stage
from worker.core.step import Ending, Step
from worker.storage.names import MANIFEST, photo_folder

if TYPE_CHECKING:
    from worker.services import Services


async def announce(_services: Services, photo: Photo) -> Step:
    """Return the last step: the photo is done and its completion message is on the stream."""
    outputs = json.loads(photo.outputs or "{}").get("stored", [])
    folder = photo_folder(photo.listing_id, photo.photo_id, photo.fingerprint, photo.regeneration)
    manifest = f"{folder}/{MANIFEST}"
    return Step(
        ending=Ending.GO,
        stage=Stage.DONE,
        event=photo_staged(photo, outputs, manifest),
        drop=(
            "source_sha256",
            "source_asset_id",
            "ingest_id",
            "idempotency_key",
            "outputs",
            "created_ms",
            "read_ms",
            "rereads",
        ),
    )
