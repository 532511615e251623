"""Builds one self-contained HTML page of staged photos: before and after under a slider, facts, failures with reason.

Pictures are scaled down and stand in the page itself; nothing is fetched from anywhere, and the page's own policy
forbids it. All text is escaped. A picture that can't be read is said so and takes nothing else along.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files

from worker.core.request import Request
from worker.gallery.pictures import Shown, scaled_down


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryPhoto:
    """One photo of the page; without `after` it is shown as failed, with its reason.

    `before`, `after` and `alternate` are whole picture files; `staged_at` is shown as it is, cut to the second.
    """

    listing_id: str
    photo_id: str
    partner: str
    request: Request
    before: bytes | None = field(repr=False, default=None)
    after: bytes | None = field(repr=False, default=None)
    alternate: bytes | None = field(repr=False, default=None)
    job_id: str | None = None
    revision: int = 1
    staged_at: str | None = None
    error: str | None = None


def build_gallery(photos: Sequence[GalleryPhoto], title: str) -> str:
    """Return the page; photos of one listing stand together, listings in the order in which they first occur."""
    listings: dict[str, list[GalleryPhoto]] = {}
    for photo in photos:
        listings.setdefault(photo.listing_id, []).append(photo)
    sections = "".join(_section(number, listing_id, some) for number, (listing_id, some) in enumerate(listings.items()))
    parts = {
        "title": _text(title),
        "totals": _totals(photos, len(listings)),
        "contents": _contents(list(listings)),
        "listings": sections or '<p class="nothing">There are no photos yet.</p>',
    }
    page = (files("worker.gallery") / "page.html").read_text(encoding="utf-8")
    # In one pass, so that nothing in a part can stand for another part.
    return re.sub(r"<!--(\w+)-->", lambda found: parts[found[1]], page)


def _text(text: str) -> str:
    return html.escape(text.encode("utf-8", "replace").decode("utf-8"))


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


def _contents(listing_ids: Sequence[str]) -> str:
    if len(listing_ids) < 2:  # noqa: PLR2004 - one listing needs no table of contents
        return ""
    links = "".join(f'<li><a href="#listing-{n}">{_text(name)}</a></li>' for n, name in enumerate(listing_ids))
    return f'<nav aria-label="Listings"><ol>{links}</ol></nav>'


def _section(number: int, listing_id: str, photos: Sequence[GalleryPhoto]) -> str:
    partners = ", ".join(dict.fromkeys(photo.partner for photo in photos))
    count = f"{len(photos)} photo{'' if len(photos) == 1 else 's'}"
    cards = "".join(_card(photo) for photo in photos)
    return (
        f'<section id="listing-{number}" aria-labelledby="name-{number}"><header>'
        f'<h2 id="name-{number}">{_text(listing_id)}</h2><p class="partner">{_text(partners)}</p>'
        f'<p class="count">{count}</p></header><div class="cards">{cards}</div></section>'
    )


def _card(photo: GalleryPhoto) -> str:
    name = _text(photo.photo_id)
    wide = photo.request.capture_type == "panorama360"
    before = scaled_down(photo.before, wide=wide) if photo.before else None
    after = scaled_down(photo.after, wide=wide) if photo.after else None
    alternate = scaled_down(photo.alternate, wide=wide) if photo.alternate else None
    if after is not None:
        view = _compared(name, before, after, wide=wide)
    else:
        view = _pannable(_image(before, f"{name}, as taken"), name, wide=wide) if before else ""
        reason = photo.error or ("the staged picture can't be shown here" if photo.after else "not staged")
        view += f'<p class="reason">{_text(reason)}</p>'
    if alternate is not None:
        other = _pannable(_image(alternate, f"{name}, alternate"), name, wide=wide)
        view += f"<details><summary>Alternate</summary>{other}</details>"
    facts = "".join(f"<div><dt>{label}</dt><dd>{_text(value)}</dd></div>" for label, value in _facts(photo, after))
    style = f"{'panorama' if wide else 'photo'}{'' if after else ' failed'}"
    return f'<article class="{style}"><h3>{name}</h3>{view}<dl>{facts}</dl></article>'


def _compared(name: str, before: Shown | None, after: Shown, *, wide: bool) -> str:
    if before is None:
        return _pannable(_image(after, f"{name}, staged"), name, wide=wide)
    figure = (
        f'<figure class="view">{_image(after, f"{name}, staged")}'
        f"{_image(before, f'{name}, as taken', style='before')}"
        '<span class="tag left" aria-hidden="true">Before</span><span class="tag right" aria-hidden="true">After</span>'
        '<i class="line" aria-hidden="true"></i></figure>'
    )
    slider = (
        f'<input type="range" min="0" max="100" value="50" aria-label="{name}: before and after" '
        'aria-valuetext="50 percent before">'
    )
    return f'<div class="compare">{_pannable(figure, name, wide=wide)}{slider}</div>'


def _pannable(inner: str, name: str, *, wide: bool) -> str:
    if not wide:
        return inner
    return f'<div class="pan" tabindex="0" role="group" aria-label="{name}: panorama, scroll sideways">{inner}</div>'


def _image(picture: Shown, text: str, *, style: str = "picture") -> str:
    size = f'width="{picture.width_px}" height="{picture.height_px}"'
    return f'<img class="{style}" src="{picture.data_url}" {size} alt="{text}" draggable="false">'


def _facts(photo: GalleryPhoto, after: Shown | None) -> list[tuple[str, str]]:
    request = photo.request
    size = f"{after.full_width_px} × {after.full_height_px} px, {_bytes(after.full_bytes)}" if after else ""
    facts = [
        ("Style", request.style_preset or ""),
        ("Rooms", ", ".join(request.room_types)),
        ("Work", " · ".join(part for part in (request.workflow, request.capture_type, request.mode) if part)),
        ("Size", size),
        ("Job", photo.job_id or ""),
        ("Revision", str(photo.revision) if photo.revision > 1 else ""),
        ("Staged", (photo.staged_at or "").replace("T", " ")[:19]),
    ]
    return [(label, value) for label, value in facts if value]


def _bytes(count: int) -> str:
    return f"{count / 1_000_000:.1f} MB" if count >= 1_000_000 else f"{max(1, round(count / 1000))} kB"  # noqa: PLR2004
