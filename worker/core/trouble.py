"""What went wrong in a step, reduced to the facts that decisions are made of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Cause(StrEnum):
    """Where the trouble lies; it decides who has to act."""

    #: The API refused to protect itself; nothing is wrong with the photo. Costs no attempt.
    FLOW_CONTROL = "flow_control"
    #: The key or the organisation's entitlement; the account is paused and the photo kept. Costs no attempt.
    ACCOUNT = "account"
    #: The API or the store can't be reached or says that it is down; nothing is wrong with the photo. Costs no attempt.
    DOWN = "down"
    #: The API will never accept this request.
    REJECTED = "rejected"
    #: The source asset is not there (any more); taking it in again may help, once.
    ASSET_GONE = "asset_gone"
    #: The key was used with another body: the original exists, its job is unknown.
    CONFLICT = "conflict"
    #: The job or ingest is not there for this caller.
    NOT_THERE = "not_there"
    #: The API gave no usable answer (none at all, a broken one, 5xx): most likely nothing is wrong with the photo.
    UNANSWERED = "unanswered"
    #: A passing trouble: the network, the store, the source's host.
    PASSING = "passing"
    #: The user's source can't be used.
    SOURCE = "source"
    #: A fault of this software.
    BUG = "bug"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One failure of a step: its cause, and the code and message for people (free of secrets)."""

    cause: Cause
    code: str
    message: str
    #: True when it is certain that the call created nothing.
    refused: bool = False
    #: What the API asked for, in ms of its own time; 0 when it said nothing.
    retry_after_ms: int = 0
