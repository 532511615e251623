"""Takes records in from the network: the good ones are in the ledger before the answer, the bad ones are told of.

Guarantees: records go to the ledger of their account as they come, a few hundred at a time, so memory does not grow
with them; what is told is bounded, what is counted is complete; the same records again change nothing. Reads nothing
from a disk. The HTTP intake and the Celery task are its two doors; each counts what came through it (`intake` in
`worker/keys.py`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias, TypeVar

from worker.core.photo import NewListing
from worker.intake.outcome import BadRecord, Result
from worker.ledger.snapshot import NEWS, Enqueued, Verdict

_T = TypeVar("_T")

#: Listings that are sent to Redis together.
CHUNK: Final = 200
#: So many bad records, warnings and held photos are told by name; all are counted.
MOST_TOLD: Final = 1_000


class LedgerPort(Protocol):
    """What intake needs of an account's ledger; may raise RedisError."""

    async def enqueue(self, listings: Iterable[NewListing]) -> list[Enqueued]:
        """Accept listings; the same again changes nothing."""


class CountersPort(Protocol):
    """Where an account counts what came in; may raise RedisError."""

    async def add(self, door: str, counts: Mapping[str, int]) -> None:
        """Add to the counts of a door."""


#: Puts a listing's account in its place, or says what is wrong with it.
Route: TypeAlias = Callable[[Result], Result]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Where an account's records are handed over."""

    ledger: LedgerPort
    counters: CountersPort


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of the records: all are counted, the first `MOST_TOLD` of each kind are told."""

    listings: int = 0
    photos: Counter[Verdict] = field(default_factory=Counter)
    bad: int = 0
    bad_records: list[BadRecord] = field(default_factory=list)
    held: list[Enqueued] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def news(self) -> int:
        """How many photos will be staged because of these records."""
        return sum(self.photos[verdict] for verdict in NEWS)

    def note_bad(self, record: BadRecord) -> None:
        """Count a bad record, or a bad photo of one."""
        self.bad += 1
        _tell(self.bad_records, record)

    def note(self, answer: Enqueued) -> None:
        """Count what became of a photo."""
        self.photos[answer.verdict] += 1
        if answer.verdict is Verdict.HELD:
            _tell(self.held, answer)

    def line(self) -> str:
        """Return the counts as one line for people."""
        parts = [f"{count} {verdict}" for verdict, count in self.photos.items()]
        parts += [f"{self.bad} bad"] if self.bad else []
        photos, listings = sum(self.photos.values()), self.listings
        head = f"{photos} photo{'s' * (photos != 1)} of {listings} listing{'s' * (listings != 1)}"
        return f"{head}: {', '.join(parts)}" if parts else head


def _tell(told: list[_T], one: _T) -> None:
    if len(told) < MOST_TOLD:
        told.append(one)


class Reception:
    """One hand-over: a request's body, or a message."""

    def __init__(self, desks: Mapping[str, Desk], *, door: str, route: Route) -> None:
        """`desks` by account; `door`: what it is counted under (`http`, `celery`); `route` says whose a listing is."""
        self._desks = desks
        self._door = door
        self._route = route
        self.tally = Tally()

    async def take(self, results: Iterable[Result]) -> None:
        """Enqueue the good listings now and note the rest. Raises RedisError: then send everything again."""
        tally = self.tally
        by_account: dict[str, list[NewListing]] = defaultdict(list)
        for result in map(self._route, results):
            if isinstance(result, BadRecord):
                tally.note_bad(result)
                continue
            for warning in result.warnings:
                _tell(tally.warnings, warning)
            listing = result.listing
            by_account[listing.account].append(listing)
            if len(by_account[listing.account]) >= CHUNK:
                await self._enqueue(listing.account, by_account.pop(listing.account))
        for account, listings in by_account.items():
            await self._enqueue(account, listings)

    async def close(self) -> Tally:
        """Count the whole hand-over under its door; return the tally. Raises RedisError."""
        counts: dict[str, int] = {str(verdict): count for verdict, count in self.tally.photos.items()}
        counts |= {"listings": self.tally.listings, "bad_records": self.tally.bad, "hand_overs": 1}
        first = next(iter(self._desks.values()))
        await first.counters.add(self._door, {name: count for name, count in counts.items() if count})
        return self.tally

    async def _enqueue(self, account: str, listings: list[NewListing]) -> None:
        for answer in await self._desks[account].ledger.enqueue(listings):
            self.tally.note(answer)
        self.tally.listings += len(listings)
