"""Single fields of an answer, read leniently: one of another type than expected is absent, and nothing is raised."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Final

#: Amounts beyond 10 to this power, either way, are nonsense and costly to print.
MAX_MONEY_EXPONENT: Final = 20


def mapping(value: object) -> Mapping[str, object]:
    """Return an object; anything else is an empty one."""
    return value if isinstance(value, Mapping) else {}


def text(value: object) -> str | None:
    """Return text that can be stored: halves of surrogate pairs, which JSON may hold, become question marks."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None


def filled(value: object) -> str | None:
    """Return text that is not blank; absent parts may be null, empty or missing (contract, section 6)."""
    found = text(value)
    return found if found and found.strip() else None


def flag(value: object) -> bool | None:
    """Return a boolean; a number or text is not one."""
    return value if isinstance(value, bool) else None


def identifier(value: object) -> str | None:
    """Return an opaque id. Numbers are taken as text; what could not stand in a path as itself is no id."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip() or value in {".", ".."}:
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        return None
    return value


def money(value: object) -> Decimal | None:
    """Return an amount, exactly (contract, section 12, point 49); None is unknown, not zero."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and abs(amount.adjusted()) <= MAX_MONEY_EXPONENT else None
