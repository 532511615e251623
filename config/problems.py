"""What is wrong with settings, in words: the problem and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


def unknown_of(name: str, known: Iterable[str]) -> str:
    """Return what is said of a variable that does not exist, with the one that may be meant."""
    # All share the prefix, which would make any two of them alike.
    short = {variable.removeprefix("STAGECREW_"): variable for variable in sorted(known)}
    near = difflib.get_close_matches(name.removeprefix("STAGECREW_"), short, n=1)
    remedy = f"did you mean {short[near[0]]}?" if near else "remove it; docs/settings.md lists all settings"
    return f"{name}: there is no such setting; {remedy}"


def said_of(found: Any) -> str:
    """Return what one of pydantic's findings says, with a remedy."""
    said = str(found["msg"]).removeprefix("Value error, ")
    said = f"{said[0].lower()}{said[1:]}"
    # A check of our own names its remedy itself.
    return said if found["type"] == "value_error" else f"{said}; see docs/settings.md"
