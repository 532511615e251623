"""Rows of the ledger as Redis holds them, and as the code sees them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from worker.core.photo import Photo, Stage
from worker.core.request import Request
from worker.ledger.snapshot import PhotoView


def pairs(flat: Sequence[str]) -> dict[str, str]:
    """Return the mapping that Redis gave as a flat list."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def order_text(request_json: str, metadata_json: str) -> str:
    """Return a photo's order as it stands in Redis: two lines of JSON, which itself has no line ends.

    It has a key of its own because a hash with one long value takes three times the memory.
    """
    return f"{request_json}\n{metadata_json}"


def to_photo(key: str, account: str, row: Mapping[str, str], order: str, *, now_ms: int) -> Photo:
    """Return the photo of a row and its order; fields that a newer release wrote are ignored."""
    request_json, _, metadata_json = order.partition("\n")
    return Photo(
        key=key,
        account=account,
        listing_id=row["listing_id"],
        photo_id=row["photo_id"],
        partner=row["partner"],
        metadata=json.loads(metadata_json or "{}"),
        request=Request.from_json(request_json),
        fingerprint=row["fingerprint"],
        revision=int(row["revision"]),
        stage=Stage(row["stage"]),
        token=row["token"],
        now_ms=now_ms,
        accepted_ms=int(row["accepted_ms"]),
        attempt=int(row.get("attempt", 0)),
        lost=int(row.get("lost", 0)),
        polls=int(row.get("polls", 0)),
        create_try=int(row.get("create_try", 0)),
        ingest_try=int(row.get("ingest_try", 0)),
        stage_since_ms=_since(row),
        ingest_id=row.get("ingest_id"),
        source_asset_id=row.get("source_asset_id"),
        source_sha256=row.get("source_sha256"),
        job_id=row.get("job_id"),
        idempotency_key=row.get("idempotency_key"),
        body=row.get("body"),
        sent_ms=int(row["sent_ms"]) if "sent_ms" in row else None,
        created_ms=int(row["created_ms"]) if "created_ms" in row else None,
        read_ms=int(row["read_ms"]) if "read_ms" in row else None,
        receipt_written="receipt_written" in row,
        outputs=row.get("outputs"),
        rereads=int(row.get("rereads", 0)),
        regeneration=int(row.get("regeneration", 0)),
        parent_job_id=row.get("parent_job_id"),
        cancel=row.get("cancel"),
        pause=row.get("pause"),
        error_code=row.get("error_code"),
        error_message=row.get("error_message"),
    )


def to_view(key: str, account: str, row: Mapping[str, str]) -> PhotoView:
    """Return a row as the CLI lists it."""
    return PhotoView(
        key=key,
        account=account,
        listing_id=row["listing_id"],
        photo_id=row["photo_id"],
        partner=row["partner"],
        stage=Stage(row["stage"]),
        fingerprint=row["fingerprint"],
        revision=int(row["revision"]),
        attempt=int(row.get("attempt", 0)),
        accepted_ms=int(row["accepted_ms"]),
        stage_since_ms=_since(row),
        job_id=row.get("job_id"),
        regeneration=int(row.get("regeneration", 0)),
        parent_job_id=row.get("parent_job_id"),
        earlier_jobs=tuple(row.get("jobs", "").splitlines()),
        cancel=row.get("cancel"),
        restored="restored" in row,
        error_code=row.get("error_code"),
        error_message=row.get("error_message"),
    )


def _since(row: Mapping[str, str]) -> int:
    """Return when the photo came into its stage: a row that never moved says it once."""
    return int(row.get("stage_since_ms") or row["accepted_ms"])
