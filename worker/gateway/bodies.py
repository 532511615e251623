"""What the routes below `/v1` take and give, as pydantic models: their schemas are the ones in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from worker.core.photo import Stage
from worker.intake.record import ListingRecord, PhotoRecord
from worker.ledger.snapshot import Verdict
from worker.storage.manifest import StoredOutput

#: RFC 3339 in UTC, to the millisecond.
Moment = Annotated[str, Field(examples=["2026-01-31T12:00:00.000Z"], json_schema_extra={"format": "date-time"})]
Count = Annotated[int, Field(ge=0)]


def _described(meanings: Mapping[str, str]) -> ConfigDict:
    """Return the configuration of a record's model whose schema says what each field means."""

    def describe(schema: dict[str, Any]) -> None:
        for name, meaning in meanings.items():
            schema["properties"][name]["description"] = meaning

    return ConfigDict(json_schema_extra=describe)


class Photo(PhotoRecord):
    """One photo of a record. A field that is null counts as not given."""

    model_config = _described(
        {
            "photo_id": "Names the photo within its listing, the same whenever it is sent again.",
            "source": "Where the picture is: `https://...` or `s3://bucket/key`. May be a signed address.",
            "capture_type": "`photo`, `panorama360` or `floorplan`.",
            "workflow": "`staging` or `pro_capture`.",
            "mode": "`refurnish`, `clean` or another that the API has; not for panoramas and floor plans.",
            "room_types": "Such as `Living Room`; several only of one kind. Not needed with `clean`.",
            "style_preset": "Such as `modern`. Not needed with `clean`.",
            "include_alternates": "Whether a second picture is wanted too.",
            "metadata": "Your own; goes along to the job and to the messages, over the listing's.",
        }
    )


class Listing(ListingRecord):
    """One record: a listing and its photos, each of them on its own. A field that is null counts as not given."""

    model_config = _described(
        {
            "listing_id": "Names the listing, the same whenever it is sent again.",
            "photos": "The photos, which may also come in several records.",
            "partner": "Who they are staged for: the unit of fair turns.",
            "priority": "0 to 9, 9 first.",
            "account": "The Katalo organisation, where there are several.",
            "metadata": "Your own; goes along to the jobs and the messages. Values are text, numbers, true or false.",
        }
    )

    photos: Annotated[list[Photo], Field(min_length=1)]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, use_enum_values=True)


class BadRecordBody(_Answer):
    """A record, or one photo of it, that was refused; the rest goes on."""

    where: Annotated[str, Field(description="Which record: `line 3`, or `the body record 2`, and which photo of it.")]
    listing_id: str | None
    photo_id: str | None
    field: Annotated[str, Field(description="The field that is wrong; empty when it is the record as a whole.")]
    problem: str
    remedy: str


class PhotoCounts(_Answer):
    """Photos by what became of them."""

    accepted: Annotated[Count, Field(description="New: they will be staged.")]
    same: Annotated[Count, Field(description="Known already with this request: nothing changed.")]
    revised: Annotated[Count, Field(description="Known with another request: they will be staged anew.")]
    queued_revision: Annotated[
        Count, Field(description="Known with another request, whose job is paid for: the new one follows it.")
    ]
    held: Annotated[Count, Field(description="Failed or held before: a person decides (`stagecrew replay`).")]


class HeldPhoto(_Answer):
    """A photo that is not staged because of this, until a person decides."""

    listing_id: str
    photo_id: str
    stage: Stage


class Report(_Answer):
    """What became of the records. Counts are complete; at most 1,000 of each list are told."""

    listings: Annotated[Count, Field(description="Listings with at least one good photo.")]
    photos: PhotoCounts
    bad_record_count: Annotated[Count, Field(description="Bad records, and bad photos of good ones.")]
    bad_records: list[BadRecordBody]
    held: list[HeldPhoto]
    warnings: list[str]


class Problem(_Answer):
    """A refusal (RFC 9457)."""

    title: str
    status: int
    detail: Annotated[str, Field(description="What happened, and to what.")]
    remedy: Annotated[str, Field(description="What to do.")]
    report: Annotated[Report | None, Field(description="What had been taken before, where a body was cut short.")] = (
        None
    )


class Moved(_Answer):
    """A stage that a photo came to."""

    stage: Stage
    at: Moment


class PhotoError(_Answer):
    """The reason of the end, or the trouble of the latest try of a photo that is still on its way."""

    code: str
    message: str


class PhotoBody(_Answer):
    """One photo."""

    account: str
    listing_id: str
    photo_id: str
    partner: str
    priority: int
    stage: Stage
    since: Annotated[Moment, Field(description="When it came to its stage.")]
    accepted_at: Moment
    history: Annotated[list[Moved], Field(description="The stages of this revision, to a tenth of a second.")]
    revision: Annotated[int, Field(description="Grows with each changed request.")]
    regeneration: Annotated[int, Field(description="0 for the first picture of its request, n for the n-th other one.")]
    fingerprint: Annotated[str, Field(description="Digest of the request and its source.")]
    request: Annotated[dict[str, Any], Field(description="What was asked for; the source without its query.")]
    metadata: dict[str, str]
    attempts: Annotated[Count, Field(description="Failed tries of the present step.")]
    job_id: str | None
    earlier_jobs: Annotated[list[str], Field(description="Jobs that were paid for before this one, the oldest first.")]
    reference: Annotated[str | None, Field(description="The job's `reference` at the API; a regeneration has none.")]
    error: PhotoError | None
    manifest: Annotated[str | None, Field(description="The manifest's name below the store's prefix, once staged.")]
    outputs: Annotated[list[StoredOutput] | None, Field(description="The stored pictures, once staged.")]
    outputs_unread: Annotated[str | None, Field(description="Why the outputs of a staged photo can't be told now.")]


class ListedPhotoBody(_Answer):
    """One photo of a listing. Without a fingerprint it ended so long ago that only its end is known."""

    photo_id: str
    stage: Stage
    since: Moment | None
    revision: int | None
    fingerprint: str | None
    job_id: str | None
    error: PhotoError | None


class ListingBody(_Answer):
    """One listing."""

    account: str
    listing_id: str
    partner: str
    metadata: dict[str, str]
    open: Annotated[Count, Field(description="Photos that have not ended.")]
    stages: Annotated[dict[Stage, Count], Field(description="Photos by stage, all of them.")]
    photos: Annotated[list[ListedPhotoBody], Field(description="In the order of their ids.")]
    next: Annotated[str | None, Field(description="`after` of the next page; null on the last one.")]


class RegenerateAnswer(_Answer):
    """What asking for another picture of a photo did."""

    account: str
    listing_id: str
    photo_id: str
    verdict: Annotated[
        Literal["asked", "on_its_way", "there", "not_staged"],
        Field(
            description="`asked`: another job, which is billed, waits for its turn. `on_its_way`: one is being made "
            "already. `there`: the one of this number is made already. `not_staged`: there is no picture yet."
        ),
    ]
    stage: Stage | None
    number: Annotated[int, Field(description="Which regeneration of this request: the first is 1.")]


class CancelledPhoto(_Answer):
    """What cancelling a photo did."""

    photo_id: str
    verdict: Annotated[
        Literal["withdrawn", "kept", "dropped", "uncertain", "ended", "unknown"],
        Field(
            description="`withdrawn`: no job was created and none will be. `kept`, `dropped`: its job is paid for, and "
            "the result is stored or not. `uncertain`: a job may exist; a person decides first. `ended`: it had ended."
        ),
    ]
    stage: Annotated[Stage | None, Field(description="The stage that it is in now.")]


class CancelAnswer(_Answer):
    """What cancelling did, photo by photo."""

    account: str
    listing_id: str
    photos: list[CancelledPhoto]


#: Every verdict has its count: a new one would be missing in the answers.
assert set(PhotoCounts.model_fields) == set(Verdict)
