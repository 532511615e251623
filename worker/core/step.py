"""How a step ended: the one value that the pure decisions return and that the ledger settles.

A step ends in exactly one `Ending`. Waiting and going back to a backlog spend no attempt; only a retry does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from worker.core.photo import Stage


class Ending(StrEnum):
    """The ways in which a step can end."""

    GO = "go"
    WAIT = "wait"
    BACKLOG = "backlog"
    RETRY = "retry"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is to become of a photo after one step; settled atomically, or not at all when its lease is stale."""

    ending: Ending
    #: The stage that the photo is in afterwards.
    stage: Stage
    #: When the next step is due, in milliseconds from the settling; ignored for `BACKLOG` and final stages.
    delay_ms: int = 0
    #: Fields of the row to write, and to remove.
    fields: Mapping[str, str] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    #: The photo's slot is given back: its job is seen to be over, or known never to have been created.
    release_slot: bool = False
    #: The photo's slot is taken whatever the cap says: its job is known to exist already.
    adopt_slot: bool = False
    error_code: str | None = None
    error_message: str | None = None
    #: The create is known to have been refused: nothing was bought, and the caps count it no more.
    unspent: bool = False
    #: Back to its place in the backlog of its stage, instead of asking again at a time.
    requeue: bool = False
    #: What becomes of the photo instead when it was cancelled meanwhile: of a failure if its result was to be dropped,
    #: of a create that was refused in any case. Decided by the script, on the row.
    if_cancelled: Step | None = None
    #: A completion message (CloudEvents JSON), put on the stream by the script that settles the step.
    event: str | None = None
    #: How long a job or an ingest took, in ms, and the kinds that learn from it.
    duration_ms: int | None = None
    duration_kinds: tuple[str, ...] = ()
