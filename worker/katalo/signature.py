"""Signatures of webhooks: HMAC-SHA256 of the raw body, keyed by the secret's text, as bare hex (contract, section 6)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence


def sign(body: bytes, secret: str) -> str:
    """Return the signature of `body` in lower-case hex."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def verify(body: bytes, header: str | None, secrets: Sequence[str]) -> bool:
    """Say whether `header` signs `body` with any of `secrets`, in constant time for each of them."""
    text = (header or "").strip().removeprefix("sha256=")
    try:
        given = bytes.fromhex(text)
    except ValueError:
        return False
    # Every secret is tried, so that the time says nothing about which one fits.
    return any([hmac.compare_digest(given, bytes.fromhex(sign(body, secret))) for secret in secrets])
