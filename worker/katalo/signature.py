"""Signatures of webhooks: HMAC-SHA256 of the raw body, keyed by the secret as text, in bare hex (contract: 6)."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence

_HEX_DIGEST = re.compile(r"[0-9A-Fa-f]{64}")


def sign(body: bytes, secret: str) -> str:
    """Return the signature of `body` in lower-case hex."""
    return _digest(body, secret).hex()


def verify(body: bytes, header: str | None, secrets: Sequence[str]) -> bool:
    """Say whether `header` signs `body` with any of `secrets`, in a time that doesn't tell how close it came.

    A `sha256=` before the digest is stripped, no more (contract, section 12, point 33). An empty secret signs nothing:
    one that is not configured would otherwise let anybody in.
    """
    text = (header or "").strip().removeprefix("sha256=")
    if _HEX_DIGEST.fullmatch(text) is None:
        return False
    given = bytes.fromhex(text)
    verified = False
    for secret in secrets:
        # Every secret is tried, so that the time says nothing about which one fits.
        fits = hmac.compare_digest(given, _digest(body, secret))
        verified |= fits and bool(secret)
    return verified


def _digest(body: bytes, secret: str) -> bytes:
    # Bytes of the environment that are not UTF-8 reach us as surrogates, and go back to what they were.
    return hmac.new(secret.encode("utf-8", "surrogateescape"), body, hashlib.sha256).digest()
