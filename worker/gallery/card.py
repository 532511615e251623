"""One photo of a gallery page: its pictures, what there is to say when it is not staged, and its facts."""

from __future__ import annotations

import html
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from worker.core.request import Request
from worker.gallery.pictures import Shown, scaled_down

#: A panorama that is seen through a window has all directions in it: it is twice as wide as high, give or take.
_ROUND: Final = (1.9, 2.1)
_HINT: Final = '<p class="hint">Drag to look around, or use the arrow keys.</p>'


Picture: TypeAlias = bytes | Shown


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryPhoto:
    """One photo of a page; with `error` it is shown with the reason, and with what to do.

    `before`, `after` and `alternate` are whole picture files, or made small already. Times are RFC 3339 in UTC.
    """

    listing_id: str
    photo_id: str
    partner: str
    request: Request
    account: str = ""
    before: Picture | None = field(repr=False, default=None)
    after: Picture | None = field(repr=False, default=None)
    alternate: Picture | None = field(repr=False, default=None)
    #: Why there is no picture as taken.
    missing: str | None = None
    job_id: str | None = None
    revision: int = 1
    regeneration: int = 0
    created_at: str | None = None
    staged_at: str | None = None
    cost: str | None = None
    error: str | None = None
    remedy: str | None = None


def made_small(photo: GalleryPhoto, longest_px: int) -> GalleryPhoto:
    """Return the photo with its pictures as a page shows them, so that the whole ones need not be kept."""
    before, after, alternate = (_small(photo, content, longest_px) for content in _contents(photo))
    # What can't be read stays as it is, for the page to say so.
    return replace(
        photo,
        before=before or photo.before,
        after=after or photo.after,
        alternate=alternate or photo.alternate,
    )


def _contents(photo: GalleryPhoto) -> tuple[Picture | None, ...]:
    return photo.before, photo.after, photo.alternate


def _small(photo: GalleryPhoto, content: Picture | None, longest_px: int) -> Shown | None:
    if not isinstance(content, bytes):
        return content
    return scaled_down(content, wide=_is_wide(photo), longest_px=longest_px) if content else None


def _is_wide(photo: GalleryPhoto) -> bool:
    return photo.request.capture_type == "panorama360"


def escaped(text: str) -> str:
    """Return text as HTML shows it, in an attribute too; what can't be written as UTF-8 is replaced."""
    return html.escape(text.encode("utf-8", "replace").decode("utf-8"))


def card(photo: GalleryPhoto, *, longest_px: int) -> str:
    """Return a photo's part of the page; a new picture has at most `longest_px` a side."""
    name = escaped(photo.photo_id)
    wide = _is_wide(photo)
    before, after, alternate = (_small(photo, content, longest_px) for content in _contents(photo))
    if after is not None:
        view = _compared(name, before, after, wide=wide)
    else:
        view = _alone(_image(before, f"{name}, as taken"), name, before, wide=wide) if before else ""
    view += "".join(_reasons(photo, before, after))
    if alternate is not None:
        other = _alone(_image(alternate, f"{name}, alternate"), f"{name}, alternate", alternate, wide=wide)
        view += f"<details><summary>Alternate</summary>{other}</details>"
    facts = "".join(f"<div><dt>{label}</dt><dd>{escaped(value)}</dd></div>" for label, value in _facts(photo, after))
    style = f"{'panorama' if wide else 'photo'}{'' if after else ' failed'}"
    return f'<article class="{style}"><h3>{name}</h3>{view}<dl>{facts}</dl></article>'


def _reasons(photo: GalleryPhoto, before: Shown | None, after: Shown | None) -> list[str]:
    """Return what there is to say of a photo that is not staged, or not shown whole."""
    told = []
    if photo.error or after is None:
        reason = photo.error or ("the staged picture can't be shown here" if photo.after else "not staged")
        told.append(f'<p class="reason">{escaped(reason)}</p>')
    if photo.remedy:
        # What stands between backticks is a command.
        parts = [escaped(part) for part in photo.remedy.split("`")]
        parts[1::2] = [f"<code>{part}</code>" for part in parts[1::2]]
        told.append(f'<p class="remedy">{"".join(parts)}</p>')
    if before is None and (photo.missing or photo.before):
        missing = photo.missing or "it is no picture that can be read"
        told.append(f'<p class="missing">The photo as taken can\'t be shown here: {escaped(missing)}</p>')
    return told


def _compared(name: str, before: Shown | None, after: Shown, *, wide: bool) -> str:
    if before is None:
        return _alone(_image(after, f"{name}, staged"), name, after, wide=wide)
    inner = (
        f"{_image(after, f'{name}, staged')}"
        f"{_image(before, f'{name}, as taken', style='before')}"
        '<span class="tag left" aria-hidden="true">Before</span><span class="tag right" aria-hidden="true">After</span>'
        '<i class="line" aria-hidden="true"></i>'
    )
    slider = (
        f'<input type="range" min="0" max="100" value="50" aria-label="{name}: before and after" '
        'aria-valuetext="50 percent before">'
    )
    if wide and _is_round(before) and _is_round(after):
        return f'<div class="compare">{_window(inner, name, both=True)}{slider}{_HINT}</div>'
    figure = f'<figure class="view">{inner}</figure>'
    return f'<div class="compare">{_pannable(figure, name) if wide else figure}{slider}</div>'


def _alone(image: str, name: str, shown: Shown, *, wide: bool) -> str:
    if not wide:
        return image
    return f"{_window(image, name, both=False)}{_HINT}" if _is_round(shown) else _pannable(image, name)


def _is_round(shown: Shown) -> bool:
    least, most = _ROUND
    return least <= shown.width_px / shown.height_px <= most


def _window(inner: str, name: str, *, both: bool) -> str:
    """Return a panorama that is seen through a window; without scripts it is flat."""
    label = f"{name}: panorama{', before and after' if both else ''}; arrow keys look around"
    canvas = f'<canvas tabindex="0" role="img" aria-label="{label}"></canvas>'
    return f'<figure class="pano view{" both" if both else ""}">{inner}{canvas}</figure>'


def _pannable(inner: str, name: str) -> str:
    return f'<div class="pan" tabindex="0" role="group" aria-label="{name}: panorama, scroll sideways">{inner}</div>'


def _image(picture: Shown, text: str, *, style: str = "picture") -> str:
    size = f'width="{picture.width_px}" height="{picture.height_px}"'
    lazy = 'loading="lazy" decoding="async" draggable="false"'
    return f'<img class="{style}" src="{picture.data_url}" {size} alt="{text}" {lazy}>'


def _facts(photo: GalleryPhoto, after: Shown | None) -> list[tuple[str, str]]:
    request = photo.request
    size = f"{after.full_width_px} × {after.full_height_px} px, {_bytes(after.full_bytes)}" if after else ""
    revision = f"{photo.revision}{f', regeneration {photo.regeneration}' if photo.regeneration else ''}"
    facts = [
        ("Style", request.style_preset or ""),
        ("Rooms", ", ".join(request.room_types)),
        ("Work", " · ".join(part for part in (request.workflow, request.capture_type, request.mode) if part)),
        ("Size", size),
        ("Job", photo.job_id or ""),
        ("Revision", revision),
        ("Job created (UTC)", _time(photo.created_at)),
        ("Staged (UTC)", _time(photo.staged_at)),
        ("Cost", photo.cost or ""),
    ]
    return [(label, value) for label, value in facts if value]


def _time(moment: str | None) -> str:
    return (moment or "").replace("T", " ")[:19]


def _bytes(count: int) -> str:
    return f"{count / 1_000_000:.1f} MB" if count >= 1_000_000 else f"{max(1, round(count / 1000))} kB"  # noqa: PLR2004
