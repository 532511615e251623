"""How long what waits has been waiting, for metrics: it costs O(partners), whatever waits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from worker.core.photo import Stage, StepName
from worker.lua import Scripts

_PACKAGE: Final = "worker.ledger.lua"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The photos of one backlog and partner, and how long ago the oldest of them was accepted."""

    photos: int
    oldest_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ages:
    """What waits for a budget, by backlog and partner; how old held stages and how late steps are, in ms (0: none)."""

    backlogs: Mapping[tuple[str, str], Waiting]
    held: Mapping[Stage, int]
    overdue: Mapping[StepName, int]


async def read_ages(scripts: Scripts, *, clock: str = "") -> Ages:
    """Return the ages of an account; `clock`: a pushed time in ms for tests. Raises RedisError."""
    found = json.loads(await scripts.call(_PACKAGE, "ages", [clock]))
    backlogs: dict[tuple[str, str], Waiting] = {}
    # An empty table of Lua's is an object, not a list. A partner may have photos of several priorities.
    for kind, partner, photos, oldest_ms in found["backlogs"] or ():
        known = backlogs.get((kind, partner), Waiting(photos=0, oldest_ms=0))
        backlogs[kind, partner] = Waiting(
            photos=known.photos + int(photos), oldest_ms=max(known.oldest_ms, int(oldest_ms))
        )
    return Ages(
        backlogs=backlogs,
        held={Stage(stage): int(ms) for stage, ms in found["held"].items()},
        overdue={StepName(step): int(ms) for step, ms in found["overdue"].items()},
    )
