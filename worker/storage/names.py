"""Names in the store, derived from the ids alone: readable where they can be, injective always.

An id that is plain stands as it is. Any other becomes a readable part, `~` and a digest; `~` never stands in a plain
one, so the two never meet. Plain ids have no capitals, so names do not meet on a file system that ignores case either.
"""

from __future__ import annotations

import re
from typing import Final

from worker.core.identity import digest

MANIFEST: Final = "manifest.json"
RECEIPT: Final = "receipt.json"
LATEST: Final = "latest.json"

_PLAIN: Final = re.compile(r"[a-z0-9_][a-z0-9._-]{0,63}")
_UNSAFE: Final = re.compile(r"[^a-z0-9_-]+")
#: Of an id that is not plain so many characters stay readable.
_READABLE: Final = 40


def segment(identifier: str) -> str:
    """Return one part of an object's name for any id: at most 68 ASCII characters, never `.` or `..`."""
    if _PLAIN.fullmatch(identifier) and not identifier.endswith("."):
        return identifier
    readable = _UNSAFE.sub("-", identifier.lower()).strip("-")[:_READABLE]
    return f"{readable}~{digest('segment', identifier)}"


def photo_folder(listing_id: str, photo_id: str, fingerprint: str, regeneration: int = 0) -> str:
    """Return the folder of one picture's outputs, below the store's prefix; regenerated ones lie in the first's."""
    first = f"{segment(listing_id)}/{segment(photo_id)}/{fingerprint}"
    return f"{first}/r{regeneration}" if regeneration else first


def latest_name(listing_id: str, photo_id: str) -> str:
    """Return the name of the object that says which picture of a photo is the latest."""
    return f"{segment(listing_id)}/{segment(photo_id)}/{LATEST}"
