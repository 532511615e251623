"""Builds self-contained HTML pages of staged photos: before and after under a slider, facts, failures with reason.

Pictures are scaled down and stand in the page itself; nothing is fetched from anywhere, and the page's own policy
forbids it and every script but its own. All text is escaped. A picture that can't be read is said so and takes nothing
else along. A gallery of many photos is several pages that lead to each other.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from importlib.resources import files
from typing import Final

from worker.gallery.card import GalleryPhoto, card, escaped
from worker.gallery.pictures import LONGEST_PX, SMALL_PX

#: On a page of more photos each picture is smaller, so that a browser can carry all of them.
FEW: Final = 24
#: More listings than this are folded away above the photos.
_UNFOLDED: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a page stands among the others: its number from 1, and every page's file."""

    number: int = 1
    names: tuple[str, ...] = ()
    #: Photos of the whole gallery.
    photos: int = 0
    #: Listings on other pages, by name and address: the first page leads to all of them.
    elsewhere: tuple[tuple[str, str], ...] = ()


def build_gallery(photos: Sequence[GalleryPhoto], title: str, place: Place | None = None) -> str:
    """Return a page; photos of one listing stand together, listings in the order in which they first occur."""
    listings: dict[tuple[str, str], list[GalleryPhoto]] = {}
    for photo in photos:
        listings.setdefault((photo.account, photo.listing_id), []).append(photo)
    longest_px = longest_of(len(photos))
    # Pillow leaves Python's lock while it reads and writes pictures.
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        cards = dict(zip(map(id, photos), pool.map(partial(card, longest_px=longest_px), photos), strict=True))
    names = [_name(*key) for key in listings]
    sections = "".join(
        _section(number, name, some, "".join(cards[id(photo)] for photo in some))
        for number, (name, some) in enumerate(zip(names, listings.values(), strict=True))
    )
    place = place or Place()
    pages = _pages(place, len(photos))
    style, script = _own("page.css"), _own("page.js")
    parts = {
        "title": escaped(title),
        "totals": _totals(photos, len(listings)),
        "contents": _contents(names, place),
        "listings": sections or '<p class="nothing">There are no photos yet.</p>',
        "pages": pages,
        "pages_again": pages.replace('aria-label="Pages"', 'aria-label="Pages, again"'),
        "style": style,
        "script": script,
        "style_hash": _hash(style),
        "script_hash": _hash(script),
    }
    # In one pass, so that nothing in a part can stand for another part.
    return re.sub(r"<!--(\w+)-->", lambda found: parts[found[1]], _own("page.html"))


def longest_of(photos: int) -> int:
    """Return the longest side of a picture on a page of so many photos."""
    return LONGEST_PX if photos <= FEW else SMALL_PX


@cache
def _own(name: str) -> str:
    return (files("worker.gallery") / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _name(account: str, listing_id: str) -> str:
    return f"{account}: {listing_id}" if account else listing_id


def _totals(photos: Sequence[GalleryPhoto], listings: int) -> str:
    staged = sum(photo.after is not None for photo in photos)
    failed = len(photos) - staged
    partners = len({photo.partner for photo in photos})
    totals = [
        (staged, "photo staged" if staged == 1 else "photos staged", ""),
        (failed, "not staged", "warm"),
        (listings, "listing" if listings == 1 else "listings", ""),
        (partners, "partner" if partners == 1 else "partners", ""),
    ]
    return "".join(
        f'<li class="{style}"><b>{number:,}</b> {name}</li>' for number, name, style in totals if number or not style
    )


def _pages(place: Place, here: int) -> str:
    if len(place.names) < 2:  # noqa: PLR2004 - one page leads nowhere
        return ""
    links = "".join(
        f'<li><a href="{escaped(name)}"{" aria-current=page" if number == place.number else ""}>{number}</a></li>'
        for number, name in enumerate(place.names, 1)
    )
    told = f"Page {place.number} of {len(place.names)}: {here} of {place.photos:,} photos."
    return f'<nav class="pages" aria-label="Pages"><p class="hint">{told}</p><ol>{links}</ol></nav>'


def _contents(names: Sequence[str], place: Place) -> str:
    links = [f'<li><a href="#listing-{n}">{escaped(name)}</a></li>' for n, name in enumerate(names)]
    links += [f'<li><a href="{escaped(address)}">{escaped(name)}</a></li>' for name, address in place.elsewhere]
    if len(links) < 2:  # noqa: PLR2004 - one listing needs no table of contents
        return ""
    shown = f"<ol>{''.join(links)}</ol>"
    if len(links) > _UNFOLDED:
        shown = f"<details><summary>{len(links):,} listings</summary>{shown}</details>"
    return f'<nav class="listings" aria-label="Listings">{shown}</nav>'


def _section(number: int, name: str, photos: Sequence[GalleryPhoto], cards: str) -> str:
    partners = ", ".join(dict.fromkeys(photo.partner for photo in photos))
    count = f"{len(photos)} photo{'' if len(photos) == 1 else 's'}"
    return (
        f'<section id="listing-{number}" aria-labelledby="name-{number}"><header>'
        f'<h2 id="name-{number}">{escaped(name)}</h2><p class="partner">{escaped(partners)}</p>'
        f'<p class="count">{count}</p></header><div class="cards">{cards}</div></section>'
    )
