"""Times as others write them: read leniently into milliseconds since the epoch (contract, section 12, point 54)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([dhm])")
_UNITS: Final = {"d": "days", "h": "hours", "m": "minutes"}
#: A number above this is milliseconds, below it seconds: the year 5138 in the one, 1973 in the other.
_LARGEST_SECONDS: Final = 100_000_000_000


def parse_ms(text: str | None) -> int | None:
    """Return the moment that an ISO 8601 text or a number since the epoch names; None when it names none.

    A text without an offset is UTC, a date is its midnight.
    """
    if text is None or not text.strip():
        return None
    said = text.strip()
    try:
        if re.fullmatch(r"\d{9,14}(\.\d+)?", said):
            number = float(said)
            return int(number if number > _LARGEST_SECONDS else number * 1000)
        moment = datetime.fromisoformat(said)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def moment_ms(text: str, now_ms: int) -> int:
    """Return the moment that an operator means: `2026-03-01`, a full time, or `7d`, `12h`, `30m` ago.

    Raises ValueError for a text that is none of these.
    """
    span = _SPAN.fullmatch(text.strip().lower())
    if span:
        try:
            return now_ms - int(timedelta(**{_UNITS[span[2]]: float(span[1])}).total_seconds() * 1000)
        except OverflowError:
            message = f"{text!r} is longer than time is counted"
            raise ValueError(message) from None
    found = parse_ms(text)
    if found is None:
        message = f"{text!r} is no time; write it like 2026-03-01, 2026-03-01T12:00Z, 7d or 12h"
        raise ValueError(message)
    return found


def span_ms(text: str) -> int:
    """Return a length of time like `30d`, `12h` or `45m`. Raises ValueError for another text."""
    if not _SPAN.fullmatch(text.strip().lower()):
        message = f"{text!r} is no length of time; write it like 30d, 12h or 45m"
        raise ValueError(message)
    return -moment_ms(text, 0)
