"""What is kept beside a photo's outputs: the manifest (written last) and the receipt of the paid job.

They outlive Redis: a manifest says that a photo is staged, a receipt that its job is paid for and where it is.
Both have a versioned schema; fields of a newer release are ignored, and a damaged file counts as absent.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from worker.core.request import dumps
from worker.storage.errors import StoreError
from worker.storage.names import MANIFEST, RECEIPT, photo_folder
from worker.storage.outputs import FetchedImage
from worker.storage.store import ObjectStore

logger = logging.getLogger(__name__)

SCHEMA_VERSION: Final = 1


class _Kept(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    schema_version: int = SCHEMA_VERSION
    account: str
    listing_id: str
    photo_id: str
    fingerprint: str
    revision: int
    job_id: str
    source_asset_id: str | None = None
    created_at: str


class StoredOutput(BaseModel):
    """One output: its role, its object's name below the store's prefix, and its content."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    role: str
    name: str
    media_type: str
    sha256: str
    size_bytes: int
    width: int | None = None
    height: int | None = None


class Manifest(_Kept):
    """`manifest.json`: a photo is staged, with these outputs. Times are RFC 3339 in UTC."""

    partner: str
    #: The `reference` of the job, by which it is found at the API.
    reference: str | None = None
    request: dict[str, Any]
    source_sha256: str | None = None
    outputs: tuple[StoredOutput, ...]
    staged_at: str
    metadata: dict[str, str]


class Receipt(_Kept):
    """`receipt.json`: the photo's job exists and is paid for."""

    idempotency_key: str


async def find_earlier_life(
    store: ObjectStore, listing_id: str, photo_id: str, fingerprint: str
) -> Manifest | Receipt | None:
    """Return what an earlier life has left of this photo and request, the manifest before the receipt.

    Raises StoreError when the store can't say: "not there" and "can't tell" are not the same, and only one is free.
    """
    folder = photo_folder(listing_id, photo_id, fingerprint)
    for name, kind in ((MANIFEST, Manifest), (RECEIPT, Receipt)):
        content = await store.get(f"{folder}/{name}")
        if content is None:
            continue
        try:
            found = kind.model_validate_json(content)
        except ValidationError as error:
            logger.warning("damaged file ignored", extra={"object": f"{folder}/{name}", "errors": error.error_count()})
            continue
        if (found.listing_id, found.photo_id, found.fingerprint) == (listing_id, photo_id, fingerprint):
            return found
    return None


async def write_receipt(store: ObjectStore, receipt: Receipt) -> None:
    """Write a receipt beside where the outputs will be. Raises StoreError."""
    folder = photo_folder(receipt.listing_id, receipt.photo_id, receipt.fingerprint)
    await store.put(f"{folder}/{RECEIPT}", _json(receipt), media_type="application/json")


async def write_outputs(
    store: ObjectStore,
    *,
    account: str,
    listing_id: str,
    photo_id: str,
    partner: str,
    fingerprint: str,
    revision: int,
    request: Mapping[str, Any],
    source_sha256: str | None,
    reference: str | None,
    job_id: str,
    source_asset_id: str | None,
    images: Sequence[tuple[str, FetchedImage]],
    created_at: str,
    staged_at: str,
    metadata: Mapping[str, str],
) -> Manifest:
    """Write every image (role, image), then the manifest; return it. Raises StoreError: then there is no manifest."""
    folder = photo_folder(listing_id, photo_id, fingerprint)
    outputs = []
    for role, image in images:
        name = f"{folder}/{role}.{image.kind.extension}"
        await store.put(name, image.data, media_type=image.kind.media_type)
        outputs.append(
            StoredOutput(
                role=role,
                name=name,
                media_type=image.kind.media_type,
                sha256=image.sha256,
                size_bytes=len(image.data),
                width=image.width,
                height=image.height,
            )
        )
    shown = {**request, "source": _shown(str(request.get("source", "")))}
    manifest = Manifest(
        account=account,
        listing_id=listing_id,
        photo_id=photo_id,
        partner=partner,
        fingerprint=fingerprint,
        revision=revision,
        request=shown,
        source_sha256=source_sha256,
        reference=reference,
        job_id=job_id,
        source_asset_id=source_asset_id,
        outputs=tuple(outputs),
        created_at=created_at,
        staged_at=staged_at,
        metadata=dict(metadata),
    )
    await store.put(f"{folder}/{MANIFEST}", _json(manifest), media_type="application/json")
    return manifest


def _shown(source: str) -> str:
    return source.partition("?")[0]


def _json(kept: BaseModel) -> bytes:
    return dumps(kept.model_dump(mode="json")).encode()


__all__ = ["Manifest", "Receipt", "StoreError", "StoredOutput", "find_earlier_life", "write_outputs", "write_receipt"]
