"""Completion messages: CloudEvents 1.0 with a derived id, so that the same news always has the same id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from worker.core.identity import event_id, reference
from worker.core.photo import Photo
from worker.core.request import dumps

STAGED: Final = "stagecrew.photo.staged.v1"
FAILED: Final = "stagecrew.photo.failed.v1"
CANCELLED: Final = "stagecrew.photo.cancelled.v1"
LISTING_COMPLETED: Final = "stagecrew.listing.completed.v1"
ACCOUNT_PARKED: Final = "stagecrew.account.parked.v1"
ACCOUNT_RESUMED: Final = "stagecrew.account.resumed.v1"
RECONCILED: Final = "stagecrew.reconciliation.completed.v1"


def photo_staged(photo: Photo, outputs: Sequence[Mapping[str, Any]], manifest: str) -> str:
    """Return the event that a photo's outputs are stored; `outputs` name objects in the user's own store."""
    data = {
        "source_asset_id": photo.source_asset_id,
        "manifest": manifest,
        "outputs": [dict(output) for output in outputs],
    }
    return _photo_event(STAGED, photo, data)


def photo_failed(photo: Photo, code: str, message: str) -> str:
    """Return the event that a photo can't be staged, with the API's (or our) code and message."""
    return _photo_event(FAILED, photo, {"error": {"code": code, "message": message}})


def account_parked(account: str, reason: str, now_ms: int) -> str:
    """Return the event that an account is parked: the API refuses the account itself."""
    return _account_event(ACCOUNT_PARKED, account, now_ms, {"reason": reason})


def account_resumed(account: str, now_ms: int) -> str:
    """Return the event that a parked account has gone on."""
    return _account_event(ACCOUNT_RESUMED, account, now_ms, {})


def reconciliation_completed(account: str, now_ms: int, data: Mapping[str, Any]) -> str:
    """Return the event that the billing ledger was held against what was staged; `data` is the result's summary."""
    return _account_event(RECONCILED, account, now_ms, data)


def photo_cancelled(photo: Photo, *, paid: bool) -> str:
    """Return the event that a photo was cancelled; `paid`: its job exists all the same, and its result was dropped."""
    # An order that was cancelled, placed again and cancelled again is other news each time.
    return _photo_event(CANCELLED, photo, {"paid": paid}, photo.accepted_ms)


def listing_completed_parts(photo: Photo) -> dict[str, str]:
    """Return what the settling script needs to announce a listing: the event up to its photos, and the id's seed.

    The script closes the event with the photos' outcomes and an id derived from them (`worker/lua/ended.lua`).
    """
    data = {"account": photo.account, "listing_id": photo.listing_id, "partner": photo.partner}
    head = {
        "specversion": "1.0",
        "type": LISTING_COMPLETED,
        "source": f"stagecrew/{photo.account}",
        "subject": photo.listing_id,
        "time": timestamp(photo.now_ms),
        "datacontenttype": "application/json",
    }
    return {"head": f'{dumps(head)[:-1]},"data":{dumps(data)[:-1]},', "seed": dumps([photo.account, photo.listing_id])}


def reference_of(photo: Photo) -> str | None:
    """Return the `reference` of the photo's job; None before it has one, and for a regeneration, which is sent none."""
    if photo.idempotency_key is None or photo.regeneration:
        return None
    return reference(photo.idempotency_key)


def timestamp(ms: int) -> str:
    """Return milliseconds since the epoch as RFC 3339 text in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clock_text(ms: int) -> str:
    """Return milliseconds since the epoch as people read them, in UTC and to the second: `2026-03-01 12:00:05`."""
    return timestamp(ms)[:19].replace("T", " ")


def _account_event(kind: str, account: str, now_ms: int, data: Mapping[str, Any]) -> str:
    return dumps(
        {
            "specversion": "1.0",
            "id": event_id(kind, account, now_ms),
            "type": kind,
            "source": f"stagecrew/{account}",
            "subject": account,
            "time": timestamp(now_ms),
            "datacontenttype": "application/json",
            "data": {"account": account, **data},
        }
    )


def _photo_event(kind: str, photo: Photo, data: Mapping[str, Any], *more: str | int) -> str:
    # A retry that a person asked for is other news than the failure before it, hence `create_try`.
    parts: tuple[str | int, ...] = (photo.listing_id, photo.photo_id, photo.fingerprint, photo.create_try)
    if photo.regeneration:
        parts = (*parts, f"r{photo.regeneration}")
    return dumps(
        {
            "specversion": "1.0",
            "id": event_id(kind, photo.account, *parts, *more),
            "type": kind,
            "source": f"stagecrew/{photo.account}",
            "subject": f"{photo.listing_id}/{photo.photo_id}",
            "time": timestamp(photo.now_ms),
            "datacontenttype": "application/json",
            "data": {
                "account": photo.account,
                "listing_id": photo.listing_id,
                "photo_id": photo.photo_id,
                "partner": photo.partner,
                "reference": reference_of(photo),
                "metadata": dict(photo.metadata),
                "fingerprint": photo.fingerprint,
                "revision": photo.revision,
                "regeneration": photo.regeneration,
                "parent_job_id": photo.parent_job_id,
                "job_id": photo.job_id,
                **data,
            },
        }
    )
