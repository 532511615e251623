"""What people call photos on the command line: `LISTING`, or `LISTING/PHOTO`; ids may have slashes themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.cli.doors import LedgerPort
    from worker.ledger.snapshot import PhotoView


async def named(ledger: LedgerPort, name: str) -> list[PhotoView]:
    """Return the photos of a listing, or the one photo; every way to part the name is tried. May raise RedisError."""
    if views := await ledger.listing(name):
        return views
    for listing, photo in ways_to_part(name):
        if views := [view for view in await ledger.listing(listing) if view.photo_id == photo]:
            return views
    return []


def ways_to_part(name: str) -> Iterator[tuple[str, str]]:
    """Yield every (listing id, photo id) that a name may stand for, the shortest listing id first."""
    parts = name.split("/")
    return (("/".join(parts[:cut]), "/".join(parts[cut:])) for cut in range(1, len(parts)))
