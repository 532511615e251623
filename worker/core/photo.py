r"""The way of a photo: its stages, the step that each one waits for, and which stage may follow which.

    accepted -> ingesting -> ingested -> creating -> generating -> storing -> announcing -> done
                                 \-> failed | cancelled | parked | uncertain

`accepted` waits in the backlog of sources, `ingested` in the backlog of generations. `creating` means that the create
call was allowed and its intent recorded, and no answer is known yet: an uncertain create is always visible as such.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from worker.core.request import Request


class Stage(StrEnum):
    """Where a photo is; the value is what stands in Redis, in metrics and in the CLI's output."""

    ACCEPTED = "accepted"
    INGESTING = "ingesting"
    INGESTED = "ingested"
    CREATING = "creating"
    GENERATING = "generating"
    STORING = "storing"
    ANNOUNCING = "announcing"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PARKED = "parked"
    UNCERTAIN = "uncertain"


class StepName(StrEnum):
    """The six steps; each is the Celery task `stagecrew.<value>`."""

    INGEST_SOURCE = "ingest_source"
    POLL_INGEST = "poll_ingest"
    CREATE_GENERATION = "create_generation"
    POLL_GENERATION = "poll_generation"
    STORE_OUTPUTS = "store_outputs"
    ANNOUNCE = "announce"


#: The step that takes a photo out of a stage. A stage without one is final until a person acts.
STEP_OF: Final[Mapping[Stage, StepName]] = {
    Stage.ACCEPTED: StepName.INGEST_SOURCE,
    Stage.INGESTING: StepName.POLL_INGEST,
    Stage.INGESTED: StepName.CREATE_GENERATION,
    Stage.CREATING: StepName.CREATE_GENERATION,
    Stage.GENERATING: StepName.POLL_GENERATION,
    Stage.STORING: StepName.STORE_OUTPUTS,
    Stage.ANNOUNCING: StepName.ANNOUNCE,
}

#: Stages that end a revision: the photo counts as ended for its listing.
ENDED: Final = frozenset({Stage.DONE, Stage.FAILED, Stage.CANCELLED})
#: Stages that wait for a person (or for a cap to move); the photo is not ended and its listing stays open.
HELD: Final = frozenset({Stage.PARKED, Stage.UNCERTAIN})
#: Stages before any job can exist: a changed request may still take the place of this one.
UNPAID: Final = frozenset({Stage.ACCEPTED, Stage.INGESTING, Stage.INGESTED})

_TROUBLE = frozenset({Stage.FAILED})
#: Which stages a settled step may lead to; staying is always allowed (a wait, a retry, a return to the backlog).
TRANSITIONS: Final[Mapping[Stage, frozenset[Stage]]] = {
    # A manifest or a receipt of an earlier life leads straight on; so does an asset that is ready at once.
    Stage.ACCEPTED: _TROUBLE
    | {Stage.INGESTING, Stage.INGESTED, Stage.GENERATING, Stage.ANNOUNCING, Stage.CANCELLED, Stage.PARKED},
    Stage.INGESTING: _TROUBLE | {Stage.INGESTED, Stage.ACCEPTED, Stage.CANCELLED, Stage.PARKED},
    # A regeneration that an earlier life has paid for, or finished, leads straight on as well.
    Stage.INGESTED: _TROUBLE
    | {Stage.ACCEPTED, Stage.CREATING, Stage.GENERATING, Stage.ANNOUNCING, Stage.CANCELLED, Stage.PARKED},
    # Back to `ingested` only when the create is known to have been refused.
    Stage.CREATING: _TROUBLE | {Stage.GENERATING, Stage.INGESTED, Stage.ACCEPTED, Stage.UNCERTAIN},
    Stage.GENERATING: _TROUBLE | {Stage.STORING, Stage.UNCERTAIN},
    # Back to `generating` to read new URLs for the same job, never to make another; cancelled when it is to be dropped.
    Stage.STORING: _TROUBLE | {Stage.ANNOUNCING, Stage.GENERATING, Stage.CANCELLED},
    Stage.ANNOUNCING: _TROUBLE | {Stage.DONE},
    # Anew for another request; to `ingested` for another picture; to `generating` for a job that is paid for.
    Stage.DONE: frozenset({Stage.ACCEPTED, Stage.INGESTED}),
    Stage.FAILED: frozenset({Stage.ACCEPTED, Stage.INGESTED, Stage.GENERATING}),
    Stage.CANCELLED: frozenset({Stage.ACCEPTED, Stage.INGESTED, Stage.GENERATING}),
    Stage.PARKED: frozenset({Stage.ACCEPTED, Stage.INGESTING, Stage.INGESTED, Stage.CANCELLED}),
    Stage.UNCERTAIN: frozenset({Stage.ACCEPTED, Stage.GENERATING}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPhoto:
    """One photo as it is enqueued."""

    photo_id: str
    request: Request
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewListing:
    """One listing as it is enqueued; `priority` 0 to 9, 9 first."""

    listing_id: str
    photos: tuple[NewPhoto, ...]
    partner: str = "default"
    priority: int = 0
    account: str = "default"
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """A photo's row in the ledger as a step sees it: an immutable picture of the moment its lease was opened."""

    key: str
    account: str
    listing_id: str
    photo_id: str
    partner: str
    metadata: Mapping[str, str]
    request: Request
    fingerprint: str
    revision: int
    stage: Stage
    token: str
    #: Redis's clock when the lease was opened, in milliseconds since the epoch.
    now_ms: int
    accepted_ms: int
    #: Failed tries of this step; leases of it that ran out while a worker was at it; reads that found no end.
    attempt: int = 0
    lost: int = 0
    polls: int = 0
    create_try: int = 0
    ingest_try: int = 0
    stage_since_ms: int = 0
    ingest_id: str | None = None
    source_asset_id: str | None = None
    source_sha256: str | None = None
    job_id: str | None = None
    idempotency_key: str | None = None
    body: str | None = None
    sent_ms: int | None = None
    created_ms: int | None = None
    #: When the job was last read and found running.
    read_ms: int | None = None
    receipt_written: bool = False
    outputs: str | None = None
    rereads: int = 0
    #: Which picture of its request this is: 0 the first, n the n-th regeneration; and the job it is made from.
    regeneration: int = 0
    parent_job_id: str | None = None
    #: `keep` or `drop` when it was cancelled after its create had been sent.
    cancel: str | None = None
    #: Who paused it, and why (JSON), when that was while it could not be stopped any more.
    pause: str | None = None
    error_code: str | None = None
    error_message: str | None = None
