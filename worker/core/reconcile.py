"""Holds what was billed against what was bought and staged: pure, exact (`Decimal`), and never acting on it.

A bill may come late, so a job counts as free only some time after it was bought. An amount that a line does not name is
unknown, not zero. A line is put under exactly one `Kind`; money is counted by every billable line, whatever its kind.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import Final

#: How a type of a line that gives money back may be called.
_REFUND_WORDS: Final = ("refund", "credit_note", "reversal", "chargeback")
#: Partner under which bills stand that are no known photo's.
NOBODY: Final = ""


class Kind(StrEnum):
    """What a bill, or a job without one, is."""

    STAGED = "billed_and_staged"  #: as it should be
    IN_WORK = "billed_in_work"  #: the photo is on its way, or held
    CANCELLED = "billed_cancelled"  #: somebody cancelled it after it was paid for
    NOT_STAGED = "billed_not_staged"  #: paid for, and the photo has failed or nothing is known of it
    TWICE = "billed_twice"  #: a second bill for one job, or for one request of one photo
    UNKNOWN = "billed_unknown"  #: no photo of ours has this job
    FREE = "staged_not_billed"  #: a cached result, or a bill that never came
    NOT_YET = "not_billed_yet"  #: its bill may still come
    REFUNDED = "refunded"  #: money that was given back, and a bill that was given back whole


#: What does not add up: somebody should look at it.
TROUBLE: Final = frozenset({Kind.NOT_STAGED, Kind.TWICE, Kind.UNKNOWN})


class Fate(StrEnum):
    """What has become of the photo of a job."""

    STAGED = "staged"
    OPEN = "open"
    FAILED = "failed"
    CANCELLED = "cancelled"
    #: Neither a row nor a manifest tells.
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the billing ledger; `created_ms` None: its time can't be read."""

    event_id: str
    job_id: str | None
    usage_type: str | None = None
    created_at: str | None = None
    created_ms: int | None = None
    source_asset_id: str | None = None
    billable: bool | None = None
    amount_usd: Decimal | None = None

    @property
    def costs(self) -> bool:
        """Whether it may cost something; only a plain no, or an amount of nothing, says that it does not."""
        return self.billable is not False and self.amount_usd != 0

    @property
    def refunds(self) -> bool:
        """Whether it gives money back: how a refund looks is not documented, so its amount or its type may say so."""
        named = any(word in (self.usage_type or "").lower() for word in _REFUND_WORDS)
        return named or (self.amount_usd is not None and self.amount_usd < 0)

    @property
    def usd(self) -> Decimal | None:
        """What it adds to the bill; None when it does not say. A refund takes off, whichever sign its amount has."""
        if self.amount_usd is None:
            return None
        return -abs(self.amount_usd) if self.refunds else self.amount_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought:
    """One job that we have bought: whose it is and what has become of it. Times in ms since the epoch."""

    job_id: str
    listing_id: str
    photo_id: str
    partner: str
    fingerprint: str
    revision: int
    source_asset_id: str | None
    since_ms: int
    fate: Fate = Fate.GONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of the result: a line of the ledger, or a job without one."""

    kind: Kind
    line: Line | None
    bought: Bought | None
    note: str = ""


@dataclass(slots=True, kw_only=True)
class Amount:
    """Bills of one kind, partner or listing."""

    lines: int = 0
    usd: Decimal = Decimal(0)
    #: Lines that cost something and do not say what.
    unpriced: int = 0

    def add(self, line: Line | None) -> None:
        """Count a line; None counts as one that costs nothing."""
        self.lines += 1
        if line is None or not line.costs:
            return
        if line.usd is None:
            self.unpriced += 1
        else:
            self.usd += line.usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The result for one span of time; `until_ms` is not in it."""

    since_ms: int
    until_ms: int
    partner: str | None
    entries: tuple[Entry, ...]
    kinds: Mapping[Kind, Amount] = field(default_factory=dict)
    partners: Mapping[str, Amount] = field(default_factory=dict)
    listings: Mapping[tuple[str, str], Amount] = field(default_factory=dict)
    total: Amount = field(default_factory=Amount)
    #: Partners of any bill or job of the span, whichever one the report is on.
    known_partners: frozenset[str] = frozenset()

    @property
    def troubles(self) -> tuple[Entry, ...]:
        """What somebody should look at."""
        return tuple(entry for entry in self.entries if entry.kind in TROUBLE)

    @property
    def adds_up(self) -> bool:
        """Whether every bill is for one staged photo, once."""
        return not self.troubles


def reconcile(
    lines: Iterable[Line],
    bought: Mapping[str, Bought],
    *,
    since_ms: int,
    until_ms: int,
    now_ms: int,
    lateness_ms: int,
    uncertain: Mapping[str, str] | None = None,
    partner: str | None = None,
) -> Report:
    """Return the report on bills written, and jobs bought, from `since_ms` to before `until_ms`.

    `bought`: our jobs by id, those of the span and every one that a line names. `lateness_ms`: how long a bill may take
    to come. `uncertain`: photos whose create was never answered, by source asset. `partner`: report on this one only.
    Lines after the span still tell that a job is billed; one that is given twice (same `event_id`) is one.
    """
    once = {line.event_id: line for line in lines}.values()
    ordered = sorted(once, key=lambda line: (line.created_ms or 0, line.event_id))
    assets = {job.source_asset_id: job for job in bought.values() if job.source_asset_id}
    seen: dict[tuple[object, ...], str] = {}
    refunded = _given_back(ordered)
    entries = []
    for line in ordered:
        job = bought.get(line.job_id or "")
        if line.refunds or line.event_id in refunded:
            entry = Entry(kind=Kind.REFUNDED, line=line, bought=job, note=refunded.get(line.event_id, ""))
        else:
            entry = _entry(line, job, seen, assets, uncertain or {})
        if line.created_ms is None or since_ms <= line.created_ms < until_ms:
            entries.append(entry)
    told = {line.job_id for line in ordered}
    for job in sorted(bought.values(), key=lambda job: (job.since_ms, job.job_id)):
        if job.job_id not in told and job.fate is Fate.STAGED and since_ms <= job.since_ms < until_ms:
            late = now_ms - job.since_ms >= lateness_ms
            entries.append(Entry(kind=Kind.FREE if late else Kind.NOT_YET, line=None, bought=job))
    known = frozenset(job.partner for job in bought.values())
    if partner is not None:
        entries = [entry for entry in entries if entry.bought is not None and entry.bought.partner == partner]
    summed = _summed(entries, since_ms=since_ms, until_ms=until_ms, partner=partner)
    return replace(summed, known_partners=known)


def _given_back(ordered: Sequence[Line]) -> dict[str, str]:
    """Return the bills that a refund takes back whole, by event id: what stays of a job's bills is held against it.

    The latest bill of the job goes first: it is the second one that should not have been. A refund of less than the
    bill, or of an amount that is not said, takes none back: the bill stands, and somebody may have to look at it.
    """
    bills: dict[str | None, list[Line]] = defaultdict(list)
    for line in ordered:
        if line.costs and not line.refunds and line.job_id:
            bills[line.job_id].append(line)
    found = {}
    for line in ordered:
        if not (line.refunds and line.costs):
            continue
        alike = [bill for bill in bills[line.job_id] if bill.usd is not None and line.usd is not None]
        match = next((bill for bill in reversed(alike) if bill.usd == abs(line.usd or 0)), None)
        if match is not None:
            bills[line.job_id].remove(match)
            found[match.event_id] = f"given back by {line.event_id}"
    return found


def _entry(
    line: Line,
    job: Bought | None,
    seen: dict[tuple[object, ...], str],
    assets: Mapping[str, Bought],
    uncertain: Mapping[str, str],
) -> Entry:
    if not line.costs:
        return Entry(kind=Kind.FREE, line=line, bought=job)
    if job is None:
        return Entry(kind=Kind.UNKNOWN, line=line, bought=None, note=_stranger(line, assets, uncertain))
    one_bill, one_request = ("bill", line.job_id, line.usage_type), _request(job)
    first = seen.get(one_bill)
    if first is not None:
        return Entry(kind=Kind.TWICE, line=line, bought=job, note=f"this job is billed by {first} already")
    seen[one_bill] = line.event_id
    other = seen.setdefault(one_request, job.job_id)
    if other != job.job_id:
        note = f"the same request of this photo is billed as job {other} already"
        return Entry(kind=Kind.TWICE, line=line, bought=job, note=note)
    return Entry(kind=_KIND_OF[job.fate], line=line, bought=job, note=_NOTES.get(job.fate, ""))


def _request(job: Bought) -> tuple[object, ...]:
    # A regeneration is another revision: asked for, and no second bill for the same thing.
    return ("request", job.listing_id, job.photo_id, job.fingerprint, job.revision)


def _stranger(line: Line, assets: Mapping[str, Bought], uncertain: Mapping[str, str]) -> str:
    asset = line.source_asset_id or ""
    if asset in uncertain:
        return f"may be the create of {uncertain[asset]} that was never answered: `stagecrew resolve` takes it"
    if asset in assets:
        job = assets[asset]
        return f"made of the source of {job.listing_id}/{job.photo_id}, whose own job is {job.job_id}"
    return "another user of the organisation, or a job whose receipt is gone"


def _summed(entries: Sequence[Entry], *, since_ms: int, until_ms: int, partner: str | None) -> Report:
    kinds: dict[Kind, Amount] = defaultdict(Amount)
    partners: dict[str, Amount] = defaultdict(Amount)
    listings: dict[tuple[str, str], Amount] = defaultdict(Amount)
    total = Amount()
    for entry in entries:
        kinds[entry.kind].add(entry.line)
        if entry.line is None:
            continue
        whose = entry.bought
        total.add(entry.line)
        partners[whose.partner if whose else NOBODY].add(entry.line)
        if whose is not None:
            listings[whose.partner, whose.listing_id].add(entry.line)
    return Report(
        since_ms=since_ms,
        until_ms=until_ms,
        partner=partner,
        entries=tuple(entries),
        kinds=dict(kinds),
        partners=dict(sorted(partners.items())),
        listings=dict(sorted(listings.items())),
        total=total,
    )


_KIND_OF: Final = {
    Fate.STAGED: Kind.STAGED,
    Fate.OPEN: Kind.IN_WORK,
    Fate.CANCELLED: Kind.CANCELLED,
    Fate.FAILED: Kind.NOT_STAGED,
    Fate.GONE: Kind.NOT_STAGED,
}
_NOTES: Final = {
    Fate.FAILED: "the photo has failed: `stagecrew status LISTING` says why",
    Fate.GONE: "no row and no manifest: enqueue the photo again, its receipt leads to this job",
}
