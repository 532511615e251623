"""Names derived from a listing alone: photo ids, fingerprints and idempotency keys.

Guarantees, each held by a property test:

* injective: two different inputs never share a name, whatever characters are in the ids (every name carries a digest
  of an unambiguous encoding of all its parts; the readable parts are there for people and may be cut);
* stable: the same input gives the same name in every process and every release of schema version 1.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from worker.core.request import Request

#: The longest Idempotency-Key and reference that we send (the contract names no limit; section 12, points 39 and 41).
MAX_KEY_CHARACTERS: Final = 64
#: Characters of each readable part of a key; with the longest prefix and the digest it stays within the limit.
READABLE_CHARACTERS: Final = 12

_UNSAFE = re.compile(r"[^A-Za-z0-9._]+")


#: 128 bits as hexadecimal digits; what names that a million photos need at intake are made of, for it is quick.
_HEX_CHARACTERS: Final = 32
#: 130 bits as base32 digits; what has to be short is made of.
_BASE32_CHARACTERS: Final = 26
#: One encoder for all: `json.dumps` with settings of its own makes one a call.
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def digest(*parts: str | int) -> str:
    """Return 26 lower-case base32 characters of a SHA-256 over the unambiguous list of `parts`."""
    return base64.b32encode(_sha256(parts).digest()).decode().lower()[:_BASE32_CHARACTERS]


def _hex_digest(*parts: str | int) -> str:
    return _sha256(parts).hexdigest()[:_HEX_CHARACTERS]


def _sha256(parts: tuple[str | int, ...]) -> hashlib._Hash:
    return hashlib.sha256(_encode(parts).encode())


def photo_key(listing_id: str, photo_id: str) -> str:
    """Return the name of a photo inside an account's part of Redis: 32 hexadecimal digits."""
    return _hex_digest("photo", listing_id, photo_id)


def listing_key(listing_id: str) -> str:
    """Return the name of a listing inside an account's part of Redis: 32 hexadecimal digits."""
    return _hex_digest("listing", listing_id)


def fingerprint(request: Request) -> str:
    """Return the digest of what is to be made of which source; another fingerprint means another revision.

    Metadata, partner and priority are not in it: they change who is told and when, not the picture.
    """
    return fingerprint_of(request.canonical_json())


def fingerprint_of(canonical_json: str) -> str:
    """Return the fingerprint of a request that is in its canonical form already: 32 hexadecimal digits."""
    return _hex_digest("request", 1, canonical_json)


def source_key(account: str, listing_id: str, photo_id: str, content: str, ingest_try: int = 0) -> str:
    """Return the Idempotency-Key of taking in a source.

    `content` is what the API is given: the SHA-256 of the bytes, or the literal URL. `ingest_try` grows when an
    ingest has failed for good or its asset is gone (contract, section 12, points 10 and 12).
    """
    return _key("source", account, listing_id, photo_id, content, ingest_try)


def generation_key(account: str, listing_id: str, photo_id: str, fingerprint: str, create_try: int = 0) -> str:
    """Return the Idempotency-Key of creating the job for a fingerprint.

    `create_try` grows only when a person asks for another job (`stagecrew replay`) or the source asset had to be
    taken in anew after the API said that nothing was created.
    """
    return _key("generation", account, listing_id, photo_id, fingerprint, create_try)


def regenerate_key(
    account: str, listing_id: str, photo_id: str, fingerprint: str, *, regeneration: int, create_try: int = 0
) -> str:
    """Return the Idempotency-Key of making another picture: number `regeneration` of a fingerprint, from 1.

    The number stands readable at its end. `create_try` grows only when a person asks for another job (`stagecrew
    replay`) in the place of one that failed.
    """
    parts = (fingerprint, regeneration, create_try)
    return _key("regenerate", account, listing_id, photo_id, *parts, suffix=f"-r{regeneration}")


def reference(idempotency_key: str) -> str:
    """Return the `reference` of the job: its idempotency key, so that a webhook finds the photo without its job id."""
    return idempotency_key


def event_id(kind: str, account: str, *parts: str | int) -> str:
    """Return the id of a completion message: the same whenever the same thing is announced again."""
    return _hex_digest("event", kind, account, *parts)


def trace_ids(account: str, listing_id: str, photo_id: str, fingerprint: str, regeneration: int = 0) -> tuple[int, int]:
    """Return the ids of the trace of a picture, 128 bits, and of its first span, 64 bits; neither is ever 0."""
    found = _sha256(("trace", account, listing_id, photo_id, fingerprint, regeneration)).digest()
    return int.from_bytes(found[:16]) | 1, int.from_bytes(found[16:24]) | 1


def _key(kind: str, account: str, listing_id: str, photo_id: str, *parts: str | int, suffix: str = "") -> str:
    """Return a key: its digest is never cut, and its readable parts share what that and a suffix leave of the limit."""
    tail = digest(kind, account, listing_id, photo_id, *parts) + suffix
    room = min(READABLE_CHARACTERS, (MAX_KEY_CHARACTERS - len(kind) - len(tail) - 3) // 2)
    key = f"{kind}-{_readable(listing_id, room)}-{_readable(photo_id, room)}-{tail}"
    assert len(key) <= MAX_KEY_CHARACTERS, key
    return key


def _readable(text: str, characters: int) -> str:
    return _UNSAFE.sub("_", text)[:characters] or "_"
