"""`latest.json`: which picture of a photo is the latest, among all its requests and regenerations.

Guarantees: it is written after the manifest that it names, so what it names is there; and an older order that finishes
later does not move it back (orders are compared by when they were accepted, on Redis's clock). One row has one order
under way, so only a worker that was stopped in the middle of writing it could ever compete with another.
"""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict

from worker.storage.manifest import Manifest, StoredOutput, as_json, find_earlier_life, read_kept
from worker.storage.names import MANIFEST, latest_name, photo_folder
from worker.storage.store import ObjectStore

SCHEMA_VERSION: Final = 1


class Latest(BaseModel):
    """`latest.json`; fields of a newer release are ignored, and a damaged file counts as absent."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    schema_version: int = SCHEMA_VERSION
    account: str
    listing_id: str
    photo_id: str
    fingerprint: str
    revision: int
    regeneration: int = 0
    job_id: str
    parent_job_id: str | None = None
    #: The manifest's name below the store's prefix, and what it says of the outputs.
    manifest: str
    outputs: tuple[StoredOutput, ...]
    staged_at: str
    #: When the order for this picture was accepted, in ms since the epoch: a later one is never overwritten.
    accepted_ms: int


async def find_latest(store: ObjectStore, listing_id: str, photo_id: str) -> Latest | None:
    """Return the pointer of a photo; None when it was never staged (by this release). Raises StoreError."""
    found = await read_kept(store, latest_name(listing_id, photo_id), Latest)
    return found if found and (found.listing_id, found.photo_id) == (listing_id, photo_id) else None


async def latest_manifest(store: ObjectStore, listing_id: str, photo_id: str) -> Manifest | None:
    """Return the manifest of a photo's latest picture; None when there is none. Raises StoreError."""
    latest = await find_latest(store, listing_id, photo_id)
    if latest is None:
        return None
    found = await find_earlier_life(store, listing_id, photo_id, latest.fingerprint, latest.regeneration)
    return found if isinstance(found, Manifest) else None


async def newest_of(store: ObjectStore, first: Manifest) -> Manifest:
    """Return the latest regeneration of the picture that `first` is of, or `first` itself. Raises StoreError."""
    latest = await find_latest(store, first.listing_id, first.photo_id)
    if latest is None or latest.fingerprint != first.fingerprint or not latest.regeneration:
        return first
    again = await find_earlier_life(store, first.listing_id, first.photo_id, first.fingerprint, latest.regeneration)
    return again if isinstance(again, Manifest) else first


async def point_to(store: ObjectStore, manifest: Manifest, *, accepted_ms: int) -> None:
    """Make `manifest` the latest, unless a later order is it already. Raises StoreError."""
    before = await find_latest(store, manifest.listing_id, manifest.photo_id)
    if before is not None and before.accepted_ms > accepted_ms:
        return
    folder = photo_folder(manifest.listing_id, manifest.photo_id, manifest.fingerprint, manifest.regeneration)
    latest = Latest(
        account=manifest.account,
        listing_id=manifest.listing_id,
        photo_id=manifest.photo_id,
        fingerprint=manifest.fingerprint,
        revision=manifest.revision,
        regeneration=manifest.regeneration,
        job_id=manifest.job_id,
        parent_job_id=manifest.parent_job_id,
        manifest=f"{folder}/{MANIFEST}",
        outputs=manifest.outputs,
        staged_at=manifest.staged_at,
        accepted_ms=accepted_ms,
    )
    if before is None or before != latest.model_copy(update={"accepted_ms": before.accepted_ms}):
        name = latest_name(manifest.listing_id, manifest.photo_id)
        await store.put(name, as_json(latest), media_type="application/json")
