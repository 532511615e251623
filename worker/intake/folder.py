"""A folder of pictures as one listing: named after the folder, each photo after its file, in people's order.

A `listing.json` in the folder says what differs: the listing's own fields, settings for all photos, and for single
ones under `photos` (`photo_id` is the file's name). A picture that is twice as wide as high, to the pixel, and large
enough for it is taken as a panorama, with a warning, unless somebody says what it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from worker.core.request import MODES_WITHOUT_STYLE
from worker.intake.outcome import BadRecord, ParsedListing, Result, shown
from worker.intake.record import LISTING_FIELDS, PHOTO_FIELDS, parse_listing
from worker.storage.images import dimensions

PICTURES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".heic", ".heif", ".avif"})
LISTING_FILE: Final = "listing.json"
#: Panorama cameras write at least this; a smaller picture of that form is more likely cut so.
PANORAMA_MIN_WIDTH_PX: Final = 2_048
#: Headers of cameras, previews included, end before this.
_HEAD_BYTES: Final = 1024 * 1024
_MAX_LISTING_FILE_BYTES: Final = 16 * 1024 * 1024
_SETTINGS: Final = tuple(name for name in PHOTO_FIELDS if name not in {"photo_id", "source", "metadata"})
_DIGITS: Final = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSettings:
    """What a folder's photos are made into where its `listing.json` does not say; None: not said.

    `listing_id` None is the folder's name. `capture_type` None is told by the picture; `mode` and `style_preset`
    are used where the API takes them.
    """

    listing_id: str | None = None
    partner: str | None = None
    priority: int | None = None
    account: str | None = None
    workflow: str | None = None
    capture_type: str | None = None
    mode: str | None = "refurnish"
    room_types: tuple[str, ...] = ()
    style_preset: str | None = "modern"
    include_alternates: bool = False


def read_folder(folder: Path, settings: FolderSettings) -> Iterator[Result]:
    """Yield the folder's listing and what is wrong with it. Raises OSError when the folder can't be listed."""
    described = _described(folder)
    if isinstance(described, BadRecord):
        yield described
        return
    names = [path.name for path in folder.iterdir() if path.suffix.lower() in PICTURES and path.name[0] != "."]
    names.sort(key=_natural)
    given = described.pop("photos", [])
    where = f"{folder.name or folder.resolve().name}/{LISTING_FILE}"
    single: dict[str, dict[str, Any]] = {}
    for photo in given if isinstance(given, list) else [given]:
        photo_id = photo.get("photo_id") if isinstance(photo, dict) else None
        if not isinstance(photo_id, str) or (photo_id not in names and not photo.get("source")):
            remedy = "photos is a list of objects, each with the name of a picture in this folder as photo_id"
            yield _bad(where, "photos", f"{shown(photo_id or photo)} is no picture here", remedy)
        else:
            single[photo_id] = photo
    names += [name for name in single if name not in names]
    if not names:
        remedy = f"give a folder with pictures ({', '.join(sorted(PICTURES))})"
        yield _bad(str(folder), "", "there are no pictures in it", remedy)
        return
    shared = {name: described.pop(name) for name in _SETTINGS if name in described}
    warnings: list[str] = []
    photos = [_photo(folder, name, settings, {**shared, **single.get(name, {})}, warnings) for name in names]
    own = {name: getattr(settings, name) for name in LISTING_FIELDS if getattr(settings, name, None) is not None}
    record = {"listing_id": folder.resolve().name, **own, **described, "photos": photos}
    places = [f"{folder.name or '.'}/{name}" for name in names]
    for result in parse_listing(record, where=str(folder), base=folder.resolve(), places=places):
        if isinstance(result, ParsedListing):
            yield replace(result, warnings=(*warnings, *result.warnings))
        else:
            yield result


def _photo(
    folder: Path, name: str, settings: FolderSettings, said: dict[str, Any], warnings: list[str]
) -> dict[str, Any]:
    """Return the photo's record: what is said of it, then the folder's settings where they fit what is said."""
    photo: dict[str, Any] = {"photo_id": name, "source": name, **said}
    capture_type = photo.get("capture_type") or settings.capture_type
    if capture_type is None:
        size = _size(folder / name)
        if size is not None and size[0] == 2 * size[1] and size[0] >= PANORAMA_MIN_WIDTH_PX:
            capture_type = "panorama360"
            remedy = f'if it is not one, say "capture_type": "photo" in {LISTING_FILE}'
            warnings.append(f"{folder.name or '.'}/{name}: {size[0]} x {size[1]} is taken as a panorama; {remedy}")
    photo["capture_type"] = capture_type
    photo.setdefault("workflow", settings.workflow)
    # Only a staged photo has a mode (contract, section 1.3).
    if capture_type in {None, "photo"} and photo["workflow"] in {None, "staging"}:
        photo.setdefault("mode", settings.mode)
    if photo.get("mode") not in MODES_WITHOUT_STYLE:
        photo.setdefault("style_preset", settings.style_preset)
        photo.setdefault("room_types", list(settings.room_types))
    photo.setdefault("include_alternates", settings.include_alternates)
    return photo


def _described(folder: Path) -> dict[str, Any] | BadRecord:
    path = folder / LISTING_FILE
    remedy = "write a JSON object with the listing's fields and settings for its photos, in UTF-8"
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_LISTING_FILE_BYTES)
        found = json.loads(data.decode("utf-8-sig"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        return _bad(str(path), "", f"it can't be read ({error.strerror})", "make it readable, or remove it")
    except (ValueError, RecursionError):
        return _bad(str(path), "", "it is not JSON", remedy)
    return found if isinstance(found, dict) else _bad(str(path), "", "it is no JSON object", remedy)


def _size(path: Path) -> tuple[int, int] | None:
    """Return width and height in pixels; None when they can't be told (the worker says what is wrong with it)."""
    try:
        with path.open("rb") as file:
            return dimensions(file.read(_HEAD_BYTES))
    except (OSError, ValueError, IndexError):
        return None


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Return a key by which `photo-10` comes after `photo-9`; names that differ only in case stay in one order."""
    parts = _DIGITS.split(name.casefold())
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts if part] + [(2, 0, name)]


def _bad(where: str, field: str, problem: str, remedy: str) -> BadRecord:
    return BadRecord(where=where, field=field, problem=problem, remedy=remedy)
