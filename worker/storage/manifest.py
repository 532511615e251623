"""What is kept beside a photo's outputs: the manifest (written last) and the receipt of the paid job.

They outlive Redis: a manifest says that a photo is staged, a receipt that its job is paid for and where it is.
Both have a versioned schema; fields of a newer release are ignored, and a damaged file counts as absent. A file whose
schema is newer than the one known here never does: a job that is paid for must not be bought again after a rollback.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from worker.core.request import dumps
from worker.storage.errors import StoreError
from worker.storage.names import MANIFEST, RECEIPT, photo_folder
from worker.storage.outputs import FetchedImage
from worker.storage.store import ObjectStore

logger = logging.getLogger(__name__)

SCHEMA_VERSION: Final = 1
#: Files that are read from the store at once.
_READ_AT_ONCE: Final = 64

#: A manifest holds a record and some names; one that is larger is none of ours, and is not taken for absent.
MAX_KEPT_BYTES: Final = 16 * 1024 * 1024

KeptT = TypeVar("KeptT", bound=BaseModel)


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
    #: Which picture of the request this is: 0 the first, n the n-th regeneration; and the job that it was made from.
    regeneration: int = 0
    parent_job_id: str | None = None
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
    #: Absent from receipts of release 0.1.
    partner: str | None = None


async def find_earlier_life(
    store: ObjectStore, listing_id: str, photo_id: str, fingerprint: str, regeneration: int = 0
) -> Manifest | Receipt | None:
    """Return what an earlier life has left of this picture of a photo, the manifest before the receipt.

    Raises StoreError when the store can't say: "not there" and "can't tell" are not the same, and only one is free.
    """
    folder = photo_folder(listing_id, photo_id, fingerprint, regeneration)
    kinds: tuple[tuple[str, type[Manifest | Receipt]], ...] = ((MANIFEST, Manifest), (RECEIPT, Receipt))
    for name, kind in kinds:
        found = await read_kept(store, f"{folder}/{name}", kind)
        names = (listing_id, photo_id, fingerprint, regeneration)
        if found and (found.listing_id, found.photo_id, found.fingerprint, found.regeneration) == names:
            return found
    return None


async def each_kept(
    store: ObjectStore, *, prefix: str = "", modified_since_ms: int = 0
) -> AsyncIterator[Manifest | Receipt]:
    """Give the manifests and receipts in the store, a bounded number read at once. Raises StoreError.

    `prefix`: a folder; `modified_since_ms`: those that were written last before this are not read.
    """
    names: list[str] = []
    async for listed in store.listed(prefix):
        # Below @NAME lies what is another account's.
        if not prefix and listed.name.startswith("@"):
            continue
        if listed.name.rpartition("/")[2] in {MANIFEST, RECEIPT} and listed.modified_ms >= modified_since_ms:
            names.append(listed.name)
        if len(names) >= _READ_AT_ONCE:
            for kept in await asyncio.gather(*(_read(store, name) for name in names)):
                if kept is not None:
                    yield kept
            names.clear()
    for kept in await asyncio.gather(*(_read(store, name) for name in names)):
        if kept is not None:
            yield kept


async def _read(store: ObjectStore, name: str) -> Manifest | Receipt | None:
    if name.endswith(MANIFEST):
        return await read_kept(store, name, Manifest)
    return await read_kept(store, name, Receipt)


async def read_kept(store: ObjectStore, name: str, kind: type[KeptT]) -> KeptT | None:
    """Return the object `name` as `kind`; None when there is none or it is damaged.

    Raises StoreError, also for a file that only a newer release can read.
    """
    content = await store.get(name, longest_bytes=MAX_KEPT_BYTES)
    if content is None:
        return None
    known = kind.model_fields["schema_version"].default
    if (version := _version_of(content)) > known:
        message = f"{name} has schema version {version}, and this release knows {known}; use the release that wrote it"
        raise StoreError(message)
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        logger.warning("damaged file ignored", extra={"object": name, "errors": error.error_count()})
        return None


def _version_of(content: bytes) -> int:
    try:
        version = json.loads(content)["schema_version"]
    except (ValueError, TypeError, KeyError):
        return 0
    return version if isinstance(version, int) else 0


async def write_receipt(store: ObjectStore, receipt: Receipt) -> None:
    """Write a receipt beside where the outputs will be. Raises StoreError."""
    folder = photo_folder(receipt.listing_id, receipt.photo_id, receipt.fingerprint, receipt.regeneration)
    await store.put(f"{folder}/{RECEIPT}", as_json(receipt), media_type="application/json")


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
    job_id: str,
    source_asset_id: str | None,
    images: Sequence[tuple[str, FetchedImage]],
    created_at: str,
    staged_at: str,
    metadata: Mapping[str, str],
    regeneration: int = 0,
    parent_job_id: str | None = None,
    reference: str | None = None,
) -> Manifest:
    """Write every image (role, image), then the manifest; return it. Raises StoreError: then there is no manifest."""
    folder = photo_folder(listing_id, photo_id, fingerprint, regeneration)
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
        regeneration=regeneration,
        parent_job_id=parent_job_id,
        outputs=tuple(outputs),
        created_at=created_at,
        staged_at=staged_at,
        metadata=dict(metadata),
    )
    await store.put(f"{folder}/{MANIFEST}", as_json(manifest), media_type="application/json")
    return manifest


def _shown(source: str) -> str:
    return source.partition("?")[0]


def as_json(kept: BaseModel) -> bytes:
    """Return what is kept as canonical JSON."""
    return dumps(kept.model_dump(mode="json")).encode()


__all__ = [
    "Manifest",
    "Receipt",
    "StoreError",
    "StoredOutput",
    "as_json",
    "find_earlier_life",
    "read_kept",
    "write_outputs",
    "write_receipt",
]
