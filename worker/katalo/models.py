"""What the API answers, in every reading of the contract's open points (section 12, points 8 to 17).

Unknown fields are ignored, unknown states mean "still running", and no shape of an answer raises anything: an answer
without what is needed is told apart by the client, which knows what it asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from worker.katalo.accounting import BillingEvent, BillingPage, UsageSummary
from worker.katalo.fields import filled, flag, identifier, mapping, text
from worker.katalo.masking import clean

#: Names that an output's URL may have (point 13) and marks of its role (point 14).
URL_FIELDS: Final = ("url", "signed_url", "image_url", "download_url", "href")
ROLE_FIELDS: Final = ("kind", "role", "type", "variant")
MEDIA_TYPE_FIELDS: Final = ("media_type", "mime_type", "content_type", "mime", "type")
EXPIRY_FIELDS: Final = ("expires_at", "url_expires_at", "expires")
#: Names of failed ingests (section 2); any other with a failure in it has failed too.
INGEST_FAILED: Final = frozenset({"failed", "error", "rejected", "expired", "cancelled", "canceled"})
#: Outputs of one job that are looked at; the contract knows two.
MAX_OUTPUTS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why an ingest or a job failed, as far as the API says; code and message are fit for a log, `raw` is not."""

    code: str | None
    message: str | None
    retryable: bool | None
    raw: object = field(default=None, repr=False)


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

    #: `primary`, `alternate`, or `alternate-N` for what the contract doesn't know; unique within a job.
    role: str
    url: str = field(repr=False)
    expires_at: str | None = None
    media_type: str | None = None


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
    metadata: Mapping[str, object] = field(default_factory=dict)


def ingest_of(answer: Mapping[str, object]) -> Ingest:
    """Return the ingest that an answer describes (points 8 to 10)."""
    status = text(answer.get("status")) or ""
    known = status.strip().lower()
    asset = identifier(answer.get("source_asset_id"))
    failure = failure_of(answer)
    state: Literal["pending", "settling", "ready", "failed"]
    ready = known == "ready" and asset is not None
    if known in INGEST_FAILED or (failure is not None and not ready):
        state = "failed"
    elif asset is None:
        state = "pending"
    else:
        state = "ready" if ready else "settling"
    return Ingest(
        ingest_id=identifier(answer.get("ingest_id")),
        state=state,
        status_text=status,
        source_asset_id=asset,
        failure=failure,
    )


def job_of(answer: Mapping[str, object]) -> Job:
    """Return the job that an answer describes (points 11 to 17)."""
    status = text(answer.get("status")) or ""
    state: Literal["running", "succeeded", "failed"] = "running"
    if status.strip().lower() == "succeeded":
        state = "succeeded"
    elif status.strip().lower() == "failed":
        state = "failed"
    return Job(
        job_id=identifier(answer.get("job_id")),
        state=state,
        status_text=status,
        source_asset_id=identifier(answer.get("source_asset_id")),
        reference=text(answer.get("reference")),
        outputs=outputs_of(answer.get("outputs")),
        failure=failure_of(answer),
        metadata=mapping(answer.get("metadata")),
    )


def failure_of(answer: Mapping[str, object]) -> Failure | None:
    """Return the failure in an answer: an object or a text, under `failure` or `error`; None when it names none.

    An object of nothing but nulls names none: absent parts may be null, empty or missing (section 6).
    """
    for found in (answer.get("failure"), answer.get("error")):
        if filled(found):
            return Failure(code=None, message=_shown(found), retryable=None, raw=found)
        if isinstance(found, Mapping) and any(part not in (None, "") for part in found.values()):
            message = next(
                (said for name in ("message", "reason", "detail") if (said := _shown(found.get(name)))), None
            )
            code = identifier(found.get("code"))
            return Failure(code=_shown(code), message=message, retryable=flag(found.get("retryable")), raw=found)
        if found and not isinstance(found, str | Mapping):
            return Failure(code=None, message=None, retryable=None, raw=found)
    return None


def outputs_of(found: object) -> tuple[Output, ...]:
    """Return the outputs of a job, the primary one first; what has no URL is left out, what has no mark never is."""
    parts = [part for part in _parts(found) if _url(part[1]) is not None]
    marks = [_role(item) or _role_named(key) for key, item in parts]
    roles: list[str | None] = [None] * len(parts)
    # The marked ones have their roles first: an unmarked neighbour must not take what another is said to be.
    for number, mark in enumerate(marks):
        if mark is not None and mark not in roles:
            roles[number] = mark
    spare = iter(("primary", "alternate", *(f"alternate-{number}" for number in range(2, MAX_OUTPUTS + 2))))
    named = [role or next(name for name in spare if name not in roles) for role in roles]
    outputs = [_output(role, item) for role, (_, item) in zip(named, parts, strict=True)]
    return tuple(sorted(outputs, key=lambda output: output.role != "primary"))


def _parts(found: object) -> list[tuple[str, object]]:
    """Return the items of a list, of an object by role, or the one item itself; each with the key it stood under."""
    if isinstance(found, Mapping) and _url(found) is None:
        pairs = ((str(key), item) for key, value in found.items() for item in _each(value))
        return [pair for pair, _ in zip(pairs, range(MAX_OUTPUTS), strict=False)]
    return [("", item) for item in _each(found)[:MAX_OUTPUTS]]


def _each(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _output(role: str, item: object) -> Output:
    fields = mapping(item)
    kinds = (filled(fields.get(name)) for name in MEDIA_TYPE_FIELDS)
    return Output(
        role=role,
        url=_url(item) or "",
        expires_at=next((moment for name in EXPIRY_FIELDS if (moment := filled(fields.get(name)))), None),
        media_type=next((kind for kind in kinds if kind and "/" in kind), None),
    )


def _url(item: object) -> str | None:
    if isinstance(item, str):
        return text(item) if "://" in item else None
    return next((url for name in URL_FIELDS if (url := filled(mapping(item).get(name)))), None)


def _role(item: object) -> str | None:
    fields = mapping(item)
    for name in ROLE_FIELDS:
        if role := _role_named(fields.get(name)):
            return role
    primary = flag(fields.get("is_primary"))
    return None if primary is None else ("primary" if primary else "alternate")


def _role_named(value: object) -> str | None:
    word = value.strip().lower() if isinstance(value, str) else ""
    return next((role for role in ("primary", "alternate") if word.startswith(role)), None)


def _shown(value: object) -> str | None:
    return clean(value) or None if isinstance(value, str) else None


__all__ = [
    "BillingEvent",
    "BillingPage",
    "Failure",
    "Ingest",
    "Job",
    "Output",
    "UsageSummary",
    "failure_of",
    "ingest_of",
    "job_of",
    "outputs_of",
]
