"""Very many photos to be enqueued, made as they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from worker.core.photo import NewListing, NewPhoto
from worker.core.request import canonical_request

#: Photos of one listing, as a real estate listing has them.
PER_LISTING: Final = 20


def many_listings(photos: int, source: str, partners: Sequence[str]) -> Iterator[NewListing]:
    """Yield listings of `photos` photos together, the partners in turns; each photo's request is made anew."""
    for at in range(0, photos, PER_LISTING):
        partner = partners[at // PER_LISTING % len(partners)]
        yield NewListing(
            listing_id=f"{partner}-{at // PER_LISTING}",
            partner=partner,
            photos=tuple(
                NewPhoto(
                    photo_id=str(number),
                    request=canonical_request(source=source, mode="refurnish", style_preset="modern"),
                    metadata={},
                )
                for number in range(at, min(at + PER_LISTING, photos))
            ),
            metadata={},
        )
