"""Builds one self-contained HTML page of staged photos: before and after under a slider, facts, failures with reason.

Pictures are scaled down and stand in the page itself; nothing is fetched from anywhere. All text is escaped.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import groupby
from typing import Final

from PIL import Image, ImageOps, UnidentifiedImageError

from worker.core.request import Request

LONGEST: Final = 1280
PANORAMA_LONGEST: Final = 2048
QUALITY: Final = 78


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryPhoto:
    """One photo of the page; without `after` it is shown as failed, with its reason."""

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


def build_gallery(photos: Sequence[GalleryPhoto], *, title: str) -> str:
    """Return the page; photos of one listing stand together, in the order given."""
    staged = sum(photo.after is not None for photo in photos)
    listings = []
    for listing_id, group in groupby(photos, key=lambda photo: photo.listing_id):
        some = list(group)
        partner = html.escape(some[0].partner)
        cards = "".join(_card(photo) for photo in some)
        listings.append(
            f'<section><header><h2>{html.escape(listing_id)}</h2><p class="partner">{partner}</p></header>'
            f'<div class="cards">{cards}</div></section>'
        )
    text = (files("worker.gallery") / "page.html").read_text(encoding="utf-8")
    failed = len(photos) - staged
    counts = f"{staged} staged{f', {failed} failed' if failed else ''} · {len(listings)} listings"
    parts = {"title": html.escape(title), "counts": counts, "listings": "".join(listings)}
    for name, part in parts.items():
        text = text.replace(f"<!--{name}-->", part)
    return text


def _card(photo: GalleryPhoto) -> str:
    name = html.escape(photo.photo_id)
    facts = "".join(f"<dt>{label}</dt><dd>{html.escape(value)}</dd>" for label, value in _facts(photo) if value)
    head = f'<article class="{_kind(photo)}"><h3>{name}</h3>'
    if photo.after is None:
        reason = html.escape(photo.error or "not staged")
        before = f'<img src="{_inline(photo.before, photo)}" alt="{name}, as taken">' if photo.before else ""
        return f'{head}{before}<p class="reason">{reason}</p><dl>{facts}</dl></article>'
    after = _inline(photo.after, photo)
    view = f'<img src="{after}" alt="{name}, staged">'
    slider = ""
    if photo.before:
        view += (
            f'<img class="before" src="{_inline(photo.before, photo)}" alt="{name}, as taken">'
            '<span class="tag left" aria-hidden="true">before</span><span class="tag right" aria-hidden="true">after</span>'
            '<i class="line" aria-hidden="true"></i>'
        )
        label = f"{name}: how much of the picture before is shown"
        slider = f'<input type="range" min="0" max="100" value="50" aria-label="{label}">'
    view = f'<figure class="view" style="--at:50%">{view}</figure>'
    if _kind(photo) == "panorama":
        view = f'<div class="pan" tabindex="0" role="group" aria-label="{name}, panorama: scroll sideways">{view}</div>'
    view += slider
    other = ""
    if photo.alternate:
        other = f'<details><summary>alternate</summary><img src="{_inline(photo.alternate, photo)}" alt="{name}, alternate"></details>'
    return f"{head}{view}{other}<dl>{facts}</dl></article>"


def _kind(photo: GalleryPhoto) -> str:
    return "panorama" if photo.request.capture_type == "panorama360" else "photo"


def _facts(photo: GalleryPhoto) -> list[tuple[str, str]]:
    request = photo.request
    what = " ".join(part for part in (request.workflow, request.capture_type, request.mode) if part)
    return [
        ("made", what),
        ("style", request.style_preset or ""),
        ("rooms", ", ".join(request.room_types)),
        ("job", photo.job_id or ""),
        ("revision", str(photo.revision) if photo.revision > 1 else ""),
        ("when", (photo.staged_at or "").replace("T", " ")[:19]),
    ]


def _inline(content: bytes | None, photo: GalleryPhoto) -> str:
    if content is None:
        return ""
    longest = PANORAMA_LONGEST if _kind(photo) == "panorama" else LONGEST
    try:
        with Image.open(io.BytesIO(content)) as opened:
            image = ImageOps.exif_transpose(opened).convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return ""
    image.thumbnail((longest, longest))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"
