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


def photo_folder(listing_id: str, photo_id: str, fingerprint: str) -> str:
    """Return the folder of one revision's outputs, below the store's prefix."""
    return f"{segment(listing_id)}/{segment(photo_id)}/{fingerprint}"
