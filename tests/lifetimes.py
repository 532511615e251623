"""Which keys may live for ever: those whose lifetime in the table of `worker/keys.py` says so. All others must expire."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from worker import keys

_ROW: Final = re.compile(r"^\| (?P<names>`[^|]*) \| [^|]+ \| [^|]+ \| (?P<lifetime>[^|]+) \|$", re.MULTILINE)


def _lasting() -> tuple[re.Pattern[str], ...]:
    """Return the names of keys that have no lifetime, or none as long as something lasts."""
    found, lasts = [], False
    for row in _ROW.finditer(keys.__doc__ or ""):
        lifetime = row["lifetime"].strip()
        if lifetime not in {"the same", "as its row"}:
            lasts = lifetime == "lasting" or lifetime.startswith(("until", "the same, "))
        if lasts:
            found += [re.compile(_pattern(name)) for name in re.findall(r"`([^`]+)`", row["names"])]
    return tuple(found)


def _pattern(name: str) -> str:
    return "".join(".+" if part.startswith("<") else re.escape(part) for part in re.split(r"(<[a-z]+>)", name))


_LASTING: Final = _lasting()
#: Keys of photos that have ended are forgotten after the retention; the rows say which those are.
_ENDED: Final = frozenset({"done", "failed", "cancelled"})


def without_lifetime(lifetimes: Mapping[str, int], found: Mapping[str, Any]) -> list[str]:
    """Return the keys that should expire and do not.

    `lifetimes`: each key's in ms, -1 for none; `found`: what stands below an account's root, rows (`p:`) at least.
    """
    wrong = []
    for key, lifetime in lifetimes.items():
        name = key[key.index("}:") + 2 :]
        if lifetime == -1 and not _may_last(name, found):
            wrong.append(key)
    return wrong


def _may_last(name: str, found: Mapping[str, Any]) -> bool:
    kind, _, key = name.partition(":")
    if kind in {"p", "o"}:
        return found.get(f"p:{key}", {}).get("stage") not in _ENDED
    if kind == "l":
        return int(found[name].get("open", 0)) > 0 if name in found else True
    return any(pattern.fullmatch(name) for pattern in _LASTING)
