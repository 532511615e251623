"""Holds Redis against the table in `worker/keys.py`: each key is in it, and lives no longer than it says.

A key may be without a lifetime where the table says `lasting` or `until ...`. Photos' rows and orders, and listings,
have none while they are open, and must have one when they have ended.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from redis import Redis

from worker import keys
from worker.core.photo import ENDED

_ROW: Final = re.compile(r"^\| (?P<names>`[^|]*) \| [^|]+ \| [^|]+ \| (?P<lifetime>[^|]+) \|$", re.MULTILINE)
_ROOT: Final = re.compile(re.escape(keys.root("NAME")).replace("NAME", "[^}]+"))


def _patterns() -> dict[re.Pattern[str], bool]:
    """Return what the table's keys look like, and whether each may be without a lifetime."""
    found: dict[re.Pattern[str], bool] = {}
    lasts = False
    for row in _ROW.finditer(keys.__doc__ or ""):
        lifetime = row["lifetime"].strip()
        if lifetime not in {"the same", "as its row"}:
            lasts = lifetime == "lasting" or lifetime.startswith(("until", "the same, "))
        for name in re.findall(r"`([^`]+)`", row["names"]):
            parts = re.split(r"(<[a-z]+>)", name)
            found[re.compile("".join(".+" if part[:1] == "<" else re.escape(part) for part in parts))] = lasts
    return found


_PATTERNS: Final = _patterns()


def undocumented(lifetimes: Mapping[str, int], states: Mapping[str, str | None]) -> list[str]:
    """Return what is wrong with keys.

    `lifetimes`: each key's in ms, -1 for none, -2 for one that is gone by now; `states`: of a photo's keys its stage,
    of a listing's how many of its photos are open.
    """
    troubles = []
    for key, lifetime in lifetimes.items():
        root = _ROOT.match(key)
        kinds = [lasts for pattern, lasts in _PATTERNS.items() if root and pattern.fullmatch(key[root.end() :])]
        ended = states.get(key) in {*ENDED, "0"}
        if not kinds:
            troubles.append(f"worker/keys.py does not name {key}")
        elif lifetime == -1 and (ended or not any(kinds)):
            troubles.append(f"{key} has no lifetime")
    return troubles


def keys_are_as_documented(url: str) -> None:
    """Check all keys of all accounts in one consistent look at them."""
    with Redis.from_url(url, decode_responses=True, protocol=2) as redis:
        names: list[str] = [key for key in redis.keys("*") if key.startswith("sc")]
        with redis.pipeline(transaction=True) as pipe:
            for name in names:
                _ask(pipe, name)
            answers = pipe.execute()
    troubles = undocumented(dict(zip(names, answers[::2], strict=True)), dict(zip(names, answers[1::2], strict=True)))
    assert troubles == []


def _ask(pipe: Any, name: str) -> None:
    """Ask for a key's lifetime and for the state of what it is about."""
    root, _, rest = name.partition("}:")
    kind, _, what = rest.partition(":")
    pipe.pttl(name)
    if kind == "l":
        pipe.hget(name, "open")
    else:
        pipe.hget(f"{root}}}:p:{what}" if kind in {"p", "o"} else f"{root}}}:none", "stage")
