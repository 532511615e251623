"""The completion messages as models: what their JSON Schemas in `docs/events/` are generated from.

A new message is a class here with its type, and an entry in `EVENTS`; `make docs` writes its schema. Within a version
fields may be added, so readers ignore what they don't know; nothing is removed or given another meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from worker.core import events

Account = Annotated[str, Field(description="The Katalo organisation, by its name in the settings.")]
ListingId = Annotated[str, Field(description="As it was enqueued.")]
PhotoId = Annotated[str, Field(description="As it was enqueued.")]
Partner = Annotated[str, Field(description="Who the photo is staged for.")]
Fingerprint = Annotated[
    str, Field(pattern="^[0-9a-f]{32}$", description="Digest of what was asked for: another request, another one.")
]
Count = Annotated[int, Field(ge=0)]
Money = Annotated[str, Field(pattern=r"^-?\d+(\.\d+)?$", description="US dollars, as decimal text.")]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class Output(_Model):
    """One picture in your store."""

    role: str = Field(description="`primary` or `alternate`.")
    name: str = Field(description="The object's name below STAGECREW_STORAGE_URL.")
    media_type: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    size_bytes: int = Field(ge=1)
    width: int | None = Field(description="Pixels; null where the format does not tell.")
    height: int | None


class Error(_Model):
    """Why a photo could not be staged."""

    code: str = Field(description="The API's code, or one of stagecrew's own.")
    message: str = Field(description="For people.")


class PhotoData(_Model):
    """What every message about one photo says."""

    account: Account
    listing_id: ListingId
    photo_id: PhotoId
    partner: Partner
    reference: str | None = Field(
        description="The job's `reference` at the API; null when none was created, and for a regeneration."
    )
    metadata: dict[str, str] = Field(description="Your own, of the listing and the photo together.")
    fingerprint: Fingerprint
    revision: int = Field(ge=1, description="Grows with each changed request for the photo.")
    regeneration: int = Field(
        ge=0, description="0: the first picture of its request; 1: another one that was asked for."
    )
    parent_job_id: str | None = Field(description="The job that this one regenerated, or null.")
    job_id: str | None = Field(description="The Katalo job; null when none was created.")


class StagedData(PhotoData):
    """A photo whose outputs are stored."""

    source_asset_id: str | None = Field(description="The Katalo source asset, where it is known.")
    manifest: str = Field(description="The name of its manifest.json below STAGECREW_STORAGE_URL.")
    outputs: list[Output] = Field(min_length=1)


class FailedData(PhotoData):
    """A photo that can't be staged as it was asked for."""

    error: Error


class CancelledData(PhotoData):
    """A photo that was cancelled."""

    paid: bool = Field(description="Its job existed already: it is paid for, and its result was dropped.")


class EndedPhoto(_Model):
    """How one photo of a listing ended."""

    photo_id: PhotoId
    stage: Literal["done", "failed", "cancelled"]
    fingerprint: Fingerprint | None
    regeneration: Count


class ListingData(_Model):
    """A listing whose last open photo has ended."""

    account: Account
    listing_id: ListingId
    partner: Partner
    metadata: dict[str, str] = Field(description="Your own, of the listing.")
    photos: list[EndedPhoto] = Field(min_length=1)
    staged: Count
    failed: Count
    cancelled: Count


class ParkedData(_Model):
    """An account that the API refuses itself: nothing is sent for it, and no photo is to blame."""

    account: Account
    reason: str = Field(description="Why, for people.")


class ResumedData(_Model):
    """An account that goes on."""

    account: Account


class KindOfBill(_Model):
    """What the billing ledger and the fleet's own books say of each other, by kind of finding."""

    count: Count
    amount_usd: Money


class Bills(_Model):
    """Bills and what they come to."""

    bills: Count
    amount_usd: Money
    without_amount: int = Field(ge=0, description="Bills that name no amount.")


class ReconciledData(_Model):
    """The billing ledger held against what was staged."""

    account: Account
    since: str = Field(description="RFC 3339 in UTC.")
    until: str = Field(description="RFC 3339 in UTC.")
    adds_up: bool = Field(description="False: `stagecrew reconcile` shows what a person should look at.")
    kinds: dict[str, KindOfBill]
    partners: dict[str, Bills]
    total: Bills


class CloudEvent(_Model):
    """What every message has: CloudEvents 1.0."""

    specversion: Literal["1.0"]
    id: str = Field(
        pattern="^[0-9a-f]{32,40}$", description="The same news always has the same id: drop what you know."
    )
    source: str = Field(pattern="^stagecrew/", description="`stagecrew/` and the account.")
    subject: str = Field(description="The listing id, `listing id/photo id`, or the account.")
    time: str = Field(
        pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", description="When it happened, RFC 3339 in UTC."
    )
    datacontenttype: Literal["application/json"]


class PhotoStaged(CloudEvent):
    """A photo is staged: its outputs and its manifest are in your store."""

    type: Literal["stagecrew.photo.staged.v1"]
    data: StagedData


class PhotoFailed(CloudEvent):
    """A photo can't be staged; a person may change the request or replay it."""

    type: Literal["stagecrew.photo.failed.v1"]
    data: FailedData


class PhotoCancelled(CloudEvent):
    """A photo was cancelled: it is not staged, or its result was dropped."""

    type: Literal["stagecrew.photo.cancelled.v1"]
    data: CancelledData


class ListingCompleted(CloudEvent):
    """Every photo of a listing has ended; sent again, with another id, when one of them ends anew in another way."""

    type: Literal["stagecrew.listing.completed.v1"]
    data: ListingData


class AccountParked(CloudEvent):
    """The API refuses the account itself (revoked key, ended entitlement, empty allowance); its photos wait."""

    type: Literal["stagecrew.account.parked.v1"]
    data: ParkedData


class AccountResumed(CloudEvent):
    """A parked account goes on by itself."""

    type: Literal["stagecrew.account.resumed.v1"]
    data: ResumedData


class ReconciliationCompleted(CloudEvent):
    """The bill was held against what was staged, as the fleet does each day."""

    type: Literal["stagecrew.reconciliation.completed.v1"]
    data: ReconciledData


#: Every message that is sent, by its type.
EVENTS: Final[Mapping[str, type[CloudEvent]]] = {
    events.STAGED: PhotoStaged,
    events.FAILED: PhotoFailed,
    events.CANCELLED: PhotoCancelled,
    events.LISTING_COMPLETED: ListingCompleted,
    events.ACCOUNT_PARKED: AccountParked,
    events.ACCOUNT_RESUMED: AccountResumed,
    events.RECONCILED: ReconciliationCompleted,
}


def schema_of(kind: str) -> dict[str, Any]:
    """Return the JSON Schema of a type of message."""
    found = EVENTS[kind].model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"urn:stagecrew:{kind}"} | found
