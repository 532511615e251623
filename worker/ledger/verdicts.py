"""What regenerate, cancel, pause and resume answer: one plain value a photo, in the order of their names."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from worker.core.photo import Stage

#: (listing id, photo id)
PhotoName = tuple[str, str]


class RegenerateVerdict(StrEnum):
    """What asking for another picture of a photo did."""

    ASKED = "asked"  #: another job, which is billed, waits for its turn
    ON_ITS_WAY = "on_its_way"  #: another picture is being made already: nothing was asked for
    THERE = "there"  #: a picture (or a failure) of the number that was asked for is there already
    NOT_STAGED = "not_staged"  #: there is no picture yet of which another could be made; its stage says where it is
    UNKNOWN = "unknown"  #: neither the ledger nor the store knows the photo


class CancelVerdict(StrEnum):
    """What cancelling a photo did."""

    WITHDRAWN = "withdrawn"  #: no job was created and none will be
    KEPT = "kept"  #: its job is paid for; the result is stored as usual
    DROPPED = "dropped"  #: its job is paid for; the result will not be stored
    UNCERTAIN = "uncertain"  #: a job may exist and be billed: nothing was changed, a person decides first
    ENDED = "ended"  #: it had ended before
    UNKNOWN = "unknown"  #: the ledger does not know the photo


class PauseVerdict(StrEnum):
    """What pausing a photo did."""

    PARKED = "parked"  #: it waits until it is resumed
    ALREADY = "already"  #: it was paused before
    IN_FLIGHT = "in_flight"  #: its create was sent: it goes on to be stored
    ENDED = "ended"  #: it had ended before
    UNKNOWN = "unknown"  #: the ledger does not know the photo


class ResumeVerdict(StrEnum):
    """What resuming a photo did."""

    RESUMED = "resumed"  #: it is back where it was
    NOT_PAUSED = "not_paused"  #: nobody had paused it, or it is held for another reason, which its stage says
    UNKNOWN = "unknown"  #: the ledger does not know the photo


@dataclass(frozen=True, slots=True, kw_only=True)
class Regenerated:
    """The answer for one photo; `number` is the regeneration's, 0 where there is none."""

    account: str
    listing_id: str
    photo_id: str
    verdict: RegenerateVerdict
    stage: Stage | None
    number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """The answer for one photo, with the stage that it is in afterwards."""

    account: str
    listing_id: str
    photo_id: str
    verdict: CancelVerdict
    stage: Stage | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    """The answer for one photo, with the stage that it is in afterwards."""

    account: str
    listing_id: str
    photo_id: str
    verdict: PauseVerdict
    stage: Stage | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """The answer for one photo, with the stage that it is in afterwards."""

    account: str
    listing_id: str
    photo_id: str
    verdict: ResumeVerdict
    stage: Stage | None
