"""What the ledger shows to people: plain values for `status`, `watch`, `doctor`, `failed` and the progress display."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from worker.core.events import clock_text
from worker.core.photo import Stage
from worker.flow.parking import Parked
from worker.ledger.usage import UsageRead


class Verdict(StrEnum):
    """What enqueueing one photo did."""

    ACCEPTED = "accepted"  #: new: it will be staged
    SAME = "same"  #: already known with this request: nothing changed
    REVISED = "revised"  #: known with another request: a new revision takes its place now
    QUEUED_REVISION = "queued_revision"  #: a job of the older request is paid for; the new one follows it
    HELD = "held"  #: known with this request and failed, parked or uncertain: a person decides (`replay`, `resume`)


#: Verdicts of photos that will be staged because of what was enqueued.
NEWS: Final = frozenset({Verdict.ACCEPTED, Verdict.REVISED, Verdict.QUEUED_REVISION})


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueued:
    """The ledger's answer for one enqueued photo."""

    listing_id: str
    photo_id: str
    verdict: Verdict
    stage: Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoView:
    """One photo as the CLI lists it. Times are milliseconds since the epoch, by Redis's clock."""

    key: str
    account: str = "default"
    listing_id: str
    photo_id: str
    partner: str
    stage: Stage
    fingerprint: str
    revision: int
    attempt: int
    accepted_ms: int
    stage_since_ms: int
    job_id: str | None
    #: 0 for the first picture of its request, n for the n-th regeneration; and the job that it is made from.
    regeneration: int = 0
    parent_job_id: str | None = None
    #: Jobs of this photo that were paid for before this one, the oldest first.
    earlier_jobs: tuple[str, ...] = ()
    #: `keep` or `drop` when it was cancelled after its create had been sent: what becomes of the result.
    cancel: str | None = None
    #: The photo was found staged in the store: an earlier life had done it.
    restored: bool = False
    error_code: str | None
    #: The reason of the end, or the trouble of the latest try of a photo that is still on its way.
    error_message: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetView:
    """One route's budget: `used` grants of `count` in the last `window_ms`; paused for `paused_ms` more (0: not)."""

    route: str
    used: int
    count: int
    window_ms: int
    paused_ms: int
    granted_total: int
    refused_total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerView:
    """One live worker: its name, its hands, the photos it works on, its release, and when it was last seen."""

    name: str
    hands: int
    busy: int
    version: str
    seen_ms_ago: int


def pause_text(what: str, by: str, reason: str) -> str:
    """Return a pause for people."""
    return f"{what} is paused{f' by {by}' if by else ''}{f': {reason}' if reason else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseView:
    """One pause by a person: of the account (`partner` is None) or of a partner."""

    partner: str | None
    since_ms: int
    reason: str
    by: str

    def __str__(self) -> str:
        """Return it for people."""
        return pause_text("the account" if self.partner is None else f"partner {self.partner}", self.by, self.reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class CappedView:
    """Who has reached a cap on what may be bought (partner None: the account), and how many photos wait for it."""

    partner: str | None
    #: `day`, `period`, or `included` for the allowance of the plan.
    cap: str
    #: The cap's number; None when the usage summary does not tell what is left of the allowance.
    number: int | None
    since_ms: int
    #: When it moves by itself, or is looked at again.
    until_ms: int
    waiting: int

    def describe(self) -> str:
        """Return it as one line for people."""
        who = "the account" if self.partner is None else f"partner {self.partner}"
        if self.cap == "included":
            cap = "the included allowance" + (" is not in the usage summary" if self.number is None else " is used up")
        else:
            cap = f"the cap of {self.number:,} billable jobs a {self.cap} is reached"
        again = clock_text(self.until_ms)[:16]
        photos = f"{self.waiting:,} photo{'' if self.waiting == 1 else 's'}"
        return f"{who}: {cap}; {photos} wait, looked at again {again} UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkView:
    """One sink with an outbox: what waits for it, for how long, and how it is doing."""

    name: str
    #: It is in STAGECREW_COMPLETIONS_URL; what waits for one that is not, waits for ever.
    configured: bool
    waiting: int
    #: Listings with waiting messages, and those of them that wait after a failed try.
    listings: int
    failing: int
    #: How long the oldest of them has been waiting, in ms.
    oldest_ms: int
    dead: int
    delivered_total: int
    dead_total: int
    #: How often in a row the sink was found down (0: it is not), and how long it is left alone (ms).
    times_down: int
    paused_ms: int
    #: The latest trouble, or None when messages are delivered and none waits after a failed try.
    reason: str | None
    #: The process that delivers to it, or None.
    pump: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The whole account in one consistent picture."""

    account: str
    now_ms: int
    stages: Mapping[Stage, int]
    #: partner -> stage -> photos
    partners: Mapping[str, Mapping[Stage, int]]
    slots_used: int
    slots_cap: int
    budgets: tuple[BudgetView, ...]
    workers: tuple[WorkerView, ...]
    #: Name of the worker whose dispatcher leads, or None.
    leader: str | None
    #: Budgets count as spent for this long, because Redis restarted or was emptied (0: no).
    hold_ms: int
    leases: int
    #: Why the account is parked as a whole (revoked key, ended entitlement, empty allowance), or None.
    paused_reason: str | None
    #: The same with its state and times; who has reached a cap; the usage summary as last read; jobs bought today.
    parked: Parked | None = None
    capped: tuple[CappedView, ...] = ()
    usage: UsageRead | None = None
    bought_today: int = 0
    #: The same by partner, and all jobs bought since the ledger began.
    bought_by_partner: Mapping[str, int] = field(default_factory=dict)
    bought_total: int = 0
    #: Sinks with an outbox: those of the settings first.
    sinks: tuple[SinkView, ...] = ()
    #: In a picture of several accounts: why some of them are paused while others go on, or None.
    partly_paused: str | None = None
    #: Pauses by people, the account's first; and how many listings are paused.
    pauses: tuple[PauseView, ...] = ()
    paused_listings: int = 0

    @property
    def halted(self) -> str | None:
        """Why nothing new is sent for the account, or None: the API's refusal first, then a person's pause."""
        by_people = next((str(pause) for pause in self.pauses if pause.partner is None), None)
        return self.paused_reason or by_people

    def without_turns(self, partners: Iterable[str]) -> frozenset[str]:
        """Return those of some partners that have no turns now."""
        return frozenset(partner for partner in partners if self.waits(partner))

    def waits(self, partner: str) -> bool:
        """Say whether a partner has no turns now: by a pause or a cap, its own or the account's."""
        stopped = {view.partner for view in self.capped} | {pause.partner for pause in self.pauses}
        return self.halted is not None or None in stopped or partner in stopped
