"""How long the API asks to wait, from whatever form it says it in (contract, section 12, point 23)."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

#: Whatever the API says, a wait is within these, in seconds.
LEAST_S: Final = 1.0
LONGEST_S: Final = 300.0
#: No number or date is longer; a longer text says nothing.
MAX_CHARACTERS: Final = 64


def retry_after_s(*values: object, now: datetime) -> float | None:
    """Return the longest wait that any of `values` asks for, 1 to 300 seconds; None when none of them says anything.

    A number or numeric text is seconds, a date (HTTP or ISO 8601, UTC if it names no zone) is until then, all else says
    nothing. `now` is aware.
    """
    asked = [seconds for value in values if (seconds := _seconds(value, now)) is not None]
    return min(LONGEST_S, max(LEAST_S, *asked)) if asked else None


def _seconds(value: object, now: datetime) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return _number(value)
    if not isinstance(value, str) or len(value) > MAX_CHARACTERS:
        return None
    try:
        return _number(float(value))
    except ValueError:
        return _until(value.strip(), now)


def _number(value: float) -> float | None:
    try:
        number = float(value)
    except OverflowError:
        # An integer beyond any float, the negative ones included.
        return LONGEST_S if value > 0 else None
    return None if math.isnan(number) or number < 0 else number


def _until(text: str, now: datetime) -> float | None:
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = parse(text)
            break
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    else:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
