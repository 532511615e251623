"""Keeps the number of series in bounds: the partners with the most photos have their name, all others one together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: Partners that are named in an account's metrics.
MOST_PARTNERS: Final = 100
#: Stands for all others; no partner is called so by chance.
OTHERS: Final = "(others)"


def named(photos: Mapping[str, int]) -> frozenset[str]:
    """Return the partners that have series of their own; `photos`: how many of each are not over."""
    if len(photos) <= MOST_PARTNERS:
        return frozenset(photos)
    ordered = sorted(photos, key=lambda partner: (-photos[partner], partner))
    return frozenset(ordered[:MOST_PARTNERS])
