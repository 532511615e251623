"""Reads records and enqueues the good ones, a few hundred listings at a time; the bad ones are reported and counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final

from worker.cli.terminal import harmless

if TYPE_CHECKING:
    from worker.cli.doors import LedgerPort
    from worker.core.photo import NewListing
    from worker.intake.routing import Routes
    from worker.ledger.snapshot import Enqueued

#: Listings that are sent to Redis together: enough for its speed, few enough for any memory.
CHUNK: Final = 500


@dataclass(slots=True, kw_only=True)
class Reading:
    """Reads sources one after the other; `bad` and `listings` are complete when all has been read."""

    sources: Iterable[str]
    #: Told each bad record and each warning, as one line.
    report: Callable[[str], None]
    #: Whose records are whose; `account` overrides it.
    routes: Routes
    account: str | None = None
    bad: list[str] = field(default_factory=list)
    listings: int = 0

    def __iter__(self) -> Iterator[NewListing]:
        """Yield the good listings."""
        from worker.intake.outcome import BadRecord  # noqa: PLC0415 - pydantic, which `--help` must not wait for
        from worker.intake.readers import read_records  # noqa: PLC0415
        from worker.intake.routing import routed  # noqa: PLC0415

        for source in self.sources:
            for one in read_records(source):
                found = routed(one, self.routes, account=self.account)
                if isinstance(found, BadRecord):
                    self.bad.append(harmless(str(found)))
                    self.report(f"bad record: {self.bad[-1]}")
                    continue
                for warning in found.warnings:
                    self.report(f"warning: {harmless(warning)}")
                self.listings += 1
                yield found.listing


async def enqueue_all(
    ledger: LedgerPort,
    listings: Iterable[NewListing],
    each: Callable[[list[NewListing], list[Enqueued]], None],
) -> None:
    """Enqueue listings in chunks, and tell `each` of every chunk and its answers. Raises RedisError."""
    remaining = iter(listings)
    while some := list(islice(remaining, CHUNK)):
        each(some, await ledger.enqueue(some))
