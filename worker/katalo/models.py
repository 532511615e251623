"""What the API answers, in every reading of the contract's open points (section 12, points 8 to 17 and 45 to 49).

Unknown fields are ignored, unknown states mean "still running", and no shape of an answer raises anything: an answer
without what is needed is told apart by the client, which knows what it asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal

#: Names that an output's URL may have (point 13) and marks of its role (point 14).
URL_FIELDS: Final = ("url", "signed_url", "image_url", "download_url", "href")
ROLE_FIELDS: Final = ("kind", "role", "type", "variant")
ROLES: Final = frozenset({"primary", "alternate"})
INGEST_FAILED: Final = frozenset({"failed", "error", "rejected", "expired", "cancelled", "canceled"})
#: Outputs of one job that are looked at; the contract knows two.
MAX_OUTPUTS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why an ingest or a job failed, as far as the API says."""

    code: str | None
    message: str | None
    retryable: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingest:
    """An ingest; `settling`: it has an id but no status that says that it is ready."""

    ingest_id: str | None
    state: Literal["pending", "settling", "ready", "failed"]
    status_text: str
    source_asset_id: str | None
    failure: Failure | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One output of a job; its URL is signed and short-lived, so it is never shown."""

    role: str
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A generation job; every state but `succeeded` and `failed` is `running`."""

    job_id: str | None
    state: Literal["running", "succeeded", "failed"]
    status_text: str
    source_asset_id: str | None
    reference: str | None
    outputs: tuple[Output, ...]
    failure: Failure | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageSummary:
    """The usage summary; a field that the answer lacks is None, and never means "no"."""

    enabled: bool | None
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingEvent:
    """One line of the billing ledger; an absent amount is unknown, not zero."""

    event_id: str | None
    job_id: str | None
    usage_type: str | None
    config_fingerprint: str | None
    created_at: str | None
    source_asset_id: str | None
    billable: bool | None
    unit_price_usd: Decimal | None
    amount_usd: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingPage:
    """One page of the billing ledger; no `next_cursor`: the last one."""

    events: tuple[BillingEvent, ...]
    next_cursor: str | None


def ingest_of(answer: Mapping[str, Any]) -> Ingest:
    """Return the ingest that an answer describes."""
    status = _text(answer.get("status")) or ""
    asset = _id(answer.get("source_asset_id"))
    failure = failure_of(answer)
    state: Literal["pending", "settling", "ready", "failed"]
    if status.lower() in INGEST_FAILED or (failure is not None and status.lower() != "ready"):
        state = "failed"
    elif asset is None:
        state = "pending"
    else:
        state = "ready" if status.lower() == "ready" else "settling"
    return Ingest(
        ingest_id=_id(answer.get("ingest_id")),
        state=state,
        status_text=status,
        source_asset_id=asset,
        failure=failure,
    )


def job_of(answer: Mapping[str, Any]) -> Job:
    """Return the job that an answer describes."""
    status = _text(answer.get("status")) or ""
    state: Literal["running", "succeeded", "failed"] = "running"
    if status.lower() == "succeeded":
        state = "succeeded"
    elif status.lower() == "failed":
        state = "failed"
    return Job(
        job_id=_id(answer.get("job_id")),
        state=state,
        status_text=status,
        source_asset_id=_id(answer.get("source_asset_id")),
        reference=_text(answer.get("reference")),
        outputs=tuple(_outputs(answer.get("outputs"))),
        failure=failure_of(answer),
    )


def failure_of(answer: Mapping[str, Any]) -> Failure | None:
    """Return the failure in an answer: an object or a text, under `failure` or `error`; None when it names none."""
    found = answer.get("failure") or answer.get("error")
    if isinstance(found, str):
        return Failure(code=None, message=found, retryable=None)
    if isinstance(found, Mapping):
        flag = found.get("retryable")
        message = _text(found.get("message")) or _text(found.get("reason")) or _text(found.get("detail"))
        return Failure(
            code=_text(found.get("code")), message=message, retryable=flag if isinstance(flag, bool) else None
        )
    return Failure(code=None, message=None, retryable=None) if found else None


def usage_of(answer: Mapping[str, Any]) -> UsageSummary:
    """Return the usage summary; only an explicit false means that the organisation may not use the API."""
    flags = []
    for name in ("entitlement", "access"):
        part = answer.get(name)
        flags.append(part.get("enabled") if isinstance(part, Mapping) else part)
    said = [flag for flag in flags if isinstance(flag, bool)]
    return UsageSummary(enabled=all(said) if said else None, raw=answer)


def billing_of(answer: Any) -> BillingPage:
    """Return a page of the ledger: its events are the one array in the answer."""
    if isinstance(answer, list):
        return BillingPage(events=tuple(_events(answer)), next_cursor=None)
    lists = [value for value in answer.values() if isinstance(value, list)] if isinstance(answer, Mapping) else []
    cursor = _text(answer.get("next_cursor")) if isinstance(answer, Mapping) else None
    return BillingPage(events=tuple(_events(lists[0])) if lists else (), next_cursor=cursor or None)


def _outputs(found: object) -> Iterator[Output]:
    roles_of_keys = isinstance(found, Mapping)
    if isinstance(found, Mapping):
        if _url(found) is not None:  # the object is one output itself
            found, roles_of_keys = [found], False
        else:
            found = [(key, item) for key, value in found.items() for item in _each(value)]
    if not isinstance(found, list):
        return
    used: set[str] = set()
    for item in found[:MAX_OUTPUTS]:
        hint, part = item if roles_of_keys else ("", item)
        url = _url(part)
        if url is None:
            continue
        role = _role(part) or (hint.lower() if isinstance(hint, str) and hint.lower() in ROLES else None)
        if role is None or role in used:
            role = next(name for name in _spare_roles() if name not in used)
        used.add(role)
        yield Output(role=role, url=url)


def _each(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _spare_roles() -> Iterator[str]:
    yield from ("primary", "alternate")
    yield from (f"alternate-{number}" for number in range(2, MAX_OUTPUTS + 2))


def _url(item: object) -> str | None:
    if isinstance(item, str):
        return item if "://" in item else None
    if not isinstance(item, Mapping):
        return None
    return next((item[name] for name in URL_FIELDS if isinstance(item.get(name), str) and item[name]), None)


def _role(item: object) -> str | None:
    if not isinstance(item, Mapping):
        return None
    for name in ROLE_FIELDS:
        value = item.get(name)
        if isinstance(value, str) and value.lower() in ROLES:
            return value.lower()
    marked = item.get("is_primary")
    return None if not isinstance(marked, bool) else ("primary" if marked else "alternate")


def _events(items: list[Any]) -> Iterator[BillingEvent]:
    for item in items:
        if isinstance(item, Mapping):
            billable = item.get("billable")
            yield BillingEvent(
                event_id=_id(item.get("event_id")),
                job_id=_id(item.get("job_id")),
                usage_type=_text(item.get("usage_type")),
                config_fingerprint=_text(item.get("config_fingerprint")),
                created_at=_text(item.get("created_at")),
                source_asset_id=_id(item.get("source_asset_id")),
                billable=billable if isinstance(billable, bool) else None,
                unit_price_usd=_money(item.get("unit_price_usd")),
                amount_usd=_money(item.get("amount_usd")),
            )


def _money(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _id(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value.strip() else None
