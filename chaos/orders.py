"""What is handed to the fleet: listings of small pictures, every one another, drawn from the seed. Pure.

Some photos are of what no API can stage, some are ordered again with another style, and much is handed over twice: the
suite knows of each photo how many jobs it may cost.
"""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final

from PIL import Image

PER_LISTING: Final = 5
PARTNERS: Final = ("acme", "globex", "initech")
#: Shares of photos whose source is no picture, and of those that are ordered again in another style.
UNUSABLE: Final = 0.01
REVISED: Final = 0.03
STYLES: Final = ("modern", "rustic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One picture that was asked for: of which photo, in which style."""

    listing_id: str
    photo_id: str
    style: str
    #: SHA-256 of the source, by which the API knows it.
    sha256: str
    usable: bool

    @property
    def photo(self) -> tuple[str, str]:
        """Whose picture it is."""
        return (self.listing_id, self.photo_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One record as a producer sends it, and the orders that are in it."""

    record: dict[str, Any]
    orders: tuple[Order, ...]

    def without(self, ended: AbstractSet[tuple[str, str, str]]) -> Batch:
        """Return it with what has not ended yet: (listing, photo, style)."""
        left = tuple(order for order in self.orders if (*order.photo, order.style) not in ended)
        names = {order.photo_id for order in left}
        photos = [photo for photo in self.record["photos"] if photo["photo_id"] in names]
        return Batch(record=self.record | {"photos": photos}, orders=left)


def pictures(photos: int, *, seed: int) -> dict[str, bytes]:
    """Return the sources by name: every one another, some of them no picture."""
    dice = random.Random(f"{seed}:pictures")  # noqa: S311 - chaos, no secret
    return {
        f"{number}.png": _picture(number) if dice.random() >= UNUSABLE else f"{number} is no picture".encode()
        for number in range(photos)
    }


def batches(sources: Mapping[str, bytes], base_url: str, *, seed: int) -> list[Batch]:
    """Return the records of all pictures, in the order in which they are handed over; revisions come last.

    `base_url`: where the sources are.
    """
    dice = random.Random(f"{seed}:orders")  # noqa: S311 - chaos, no secret
    names = list(sources)
    first: list[Batch] = []
    again: list[Batch] = []
    for at in range(0, len(names), PER_LISTING):
        listing_id = f"listing/{at // PER_LISTING}"
        found = [_photo(name, sources[name], base_url) for name in names[at : at + PER_LISTING]]
        partner, priority = dice.choice(PARTNERS), dice.choice((0, 0, 0, 5))
        first.append(_batch(listing_id, partner, priority, found, STYLES[0]))
        revised = [one for one in found if one[3] and dice.random() < REVISED]
        if revised:
            again.append(_batch(listing_id, partner, priority, revised, STYLES[1]))
    return first + again


def _photo(name: str, data: bytes, base_url: str) -> tuple[str, str, str, bool]:
    number = name.removesuffix(".png")
    return f"photo {number}", f"{base_url}/{name}", hashlib.sha256(data).hexdigest(), data.startswith(b"\x89PNG")


def _picture(number: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (32, 24), (number % 256, number // 256 % 256, 90)).save(out, "PNG")
    return out.getvalue()


def _batch(
    listing_id: str, partner: str, priority: int, found: Sequence[tuple[str, str, str, bool]], style: str
) -> Batch:
    photos = [
        {"photo_id": photo_id, "source": source, "mode": "refurnish", "style_preset": style}
        for photo_id, source, _, _ in found
    ]
    orders = tuple(
        Order(listing_id=listing_id, photo_id=photo_id, style=style, sha256=sha256, usable=usable)
        for photo_id, _, sha256, usable in found
    )
    record = {"listing_id": listing_id, "partner": partner, "priority": priority, "photos": photos}
    return Batch(record=record, orders=orders)


def orders_of(given: Sequence[Batch]) -> Iterator[Order]:
    """Return all orders, each once."""
    return iter(dict.fromkeys(order for batch in given for order in batch.orders))
