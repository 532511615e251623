"""What answers look like, in the reading that the sandbox was started with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final

from starlette.responses import JSONResponse, Response

from worker.sandbox.books import Asset, Books, Job, state_of
from worker.sandbox.config import Readings

#: code, HTTP status, retryable (contract, section 4).
ERRORS: Final[Mapping[str, tuple[int, bool]]] = {
    "bad_request": (400, False),
    "unauthorized": (401, False),
    "forbidden": (403, False),
    "allowance_exhausted": (402, False),
    "not_found": (404, False),
    "idempotency_conflict": (409, False),
    "validation_error": (422, False),
    "rate_limited": (429, True),
    "in_flight_limit": (429, True),
    "internal_error": (500, True),
    "unavailable": (503, True),
}
_HEADERS: Final = {"Cache-Control": "no-store"}


class Refusal(Exception):  # noqa: N818 - it is an answer
    """An answer other than success."""

    def __init__(self, code: str, message: str, wait_s: float | None = None) -> None:
        """`code` of the contract's table; `wait_s` in seconds of the API's time."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.wait_s = wait_s


def success(readings: Readings, value: Mapping[str, Any], *, write: bool = False) -> Response:
    """Return an answer; absent parts as the reading has them."""
    absent: dict[str, object] = {"null": None, "empty": ""}
    shown = {
        name: absent.get(readings.absent) if part is None else part
        for name, part in value.items()
        if part is not None or readings.absent != "missing"
    }
    return JSONResponse(shown, status_code=readings.success_status if write else 200, headers=_HEADERS)


def error(readings: Readings, code: str, message: str, *, wait_s: float | None = None, html: bool = False) -> Response:
    """Return a refusal; `wait_s`: how long to wait, in seconds of the API's time."""
    status, retryable = ERRORS[code]
    if code == "in_flight_limit":
        status = readings.in_flight_status
    headers = dict(_HEADERS)
    if wait_s is not None and readings.retry_after_header:
        headers["Retry-After"] = str(max(1, round(wait_s)))
    # A refusal that tells nothing but 409 could mean anything: where the cap answers so, its envelope says which.
    if html or (readings.errors == "html" and code != "in_flight_limit"):
        page = f"<html><body><h1>{status}</h1><p>{message}</p></body></html>"
        return Response(page, status, headers, "text/html")
    if readings.errors == "text" and code != "in_flight_limit":
        return Response(message, status, headers, "text/plain")
    inner = {"code": code, "message": message, "retryable": retryable, "retry_after": _wait(readings, wait_s)}
    return JSONResponse({"error": inner}, status, headers)


def _wait(readings: Readings, wait_s: float | None) -> object:
    if wait_s is None or readings.retry_after == "null":
        return None
    if readings.retry_after == "date":
        return format_datetime(datetime.now(UTC) + timedelta(seconds=wait_s), usegmt=True)
    return round(wait_s, 2) if readings.retry_after == "seconds" else f"{wait_s:.1f}"


def ingest(books: Books, asset: Asset, *, posted: bool = False) -> dict[str, Any]:
    """Return an ingest as the API shows it."""
    readings = books.config.readings
    over = books.now_ms() >= asset.ready_ms or (posted and readings.asset_at_once)
    if over and asset.failure:
        failure: object = asset.failure
        if not readings.failure_as_text:
            failure = {"code": "unusable_source", "message": asset.failure}
        return {"ingest_id": asset.ingest_id, "status": "failed", "source_asset_id": None, "failure": failure}
    status = readings.ingest_ready_state if over else readings.running_state
    asset_id = asset.asset_id if over else None
    return {"ingest_id": asset.ingest_id, "status": status, "source_asset_id": asset_id, "failure": None}


def job(books: Books, found: Job, sign: Callable[[str], str]) -> dict[str, Any]:
    """Return a job as the API shows it, with new URLs; `sign` makes a signed URL of a picture's name."""
    readings = books.config.readings
    state = state_of(found, books.now_ms())
    failure: object = None
    if state == "failed":
        message = "no result passed the quality check"
        failure = message if readings.failure_as_text else {"code": "quality_rejected", "message": message}
    return {
        "job_id": found.job_id,
        "status": readings.running_state if state == "running" else state,
        "source_asset_id": found.asset_id,
        "reference": found.reference,
        "metadata": found.metadata,
        "outputs": outputs(readings, found, sign) if state == "succeeded" else None,
        "failure": failure,
    }


def outputs(readings: Readings, found: Job, sign: Callable[[str], str]) -> object:
    """Return a job's outputs: one primary, perhaps an alternate."""
    roles = ["primary", *(["alternate"] if found.alternate else [])]
    urls = {role: sign(f"{found.job_id}/{role}") for role in roles}
    if readings.outputs == "strings":
        return [urls[role] for role in roles]
    items = {}
    for role in roles:
        item: dict[str, object] = {readings.url_field: urls[role]}
        if readings.role_field == "is_primary":
            item["is_primary"] = role == "primary"
        elif readings.role_field != "none":
            item[readings.role_field] = role
        items[role] = item
    return items if readings.outputs == "object" else list(items.values())
