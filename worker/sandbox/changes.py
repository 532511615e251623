"""Changes of a running sandbox: each value is checked before it counts, so that nothing breaks on it later."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from worker.sandbox.config import Faults, SandboxConfig

#: What may be changed while it runs; jobs and ingests that have begun keep their fate.
CHANGEABLE: Final = (
    "ingest_min_s",
    "ingest_max_s",
    "job_min_s",
    "job_max_s",
    "url_life_s",
    "in_flight",
    "limits_off",
    "speed",
)
#: A slower clock would stand still, a faster one outruns every client.
SPEEDS: Final = (0.01, 10_000.0)
#: No time or count of a sandbox is more: thirty years in seconds.
_MOST: Final = 1e9


class BadChange(ValueError):  # noqa: N818 - it names what was found
    """A change that a sandbox can't take; the message says which and what it may be."""


def fault_changes(asked: object) -> dict[str, Any]:
    """Return changes of `Faults` with values of the right kind. Raises BadChange."""
    defaults = {item.name: item.default for item in fields(Faults)}
    if not isinstance(asked, Mapping) or (set(asked) - set(defaults)):
        message = f"faults are: {', '.join(defaults)}"
        raise BadChange(message)
    return {name: _like(name, defaults[name], value, most=1.0) for name, value in asked.items()}


def config_changes(asked: object, now: SandboxConfig) -> dict[str, Any]:
    """Return changes of the config `now` with values of the right kind. Raises BadChange."""
    if not isinstance(asked, Mapping) or set(asked) - set(CHANGEABLE):
        message = f"only these may be changed: {', '.join(CHANGEABLE)}"
        raise BadChange(message)
    defaults = {item.name: item.default for item in fields(SandboxConfig)}
    found = {name: _like(name, defaults[name], value) for name, value in asked.items()}
    if "speed" in found and not SPEEDS[0] <= found["speed"] <= SPEEDS[1]:
        message = f"speed: it is from {SPEEDS[0]:g} to {SPEEDS[1]:g}"
        raise BadChange(message)
    merged = {name: getattr(now, name) for name in CHANGEABLE} | found
    for kind in ("ingest", "job"):
        if merged[f"{kind}_min_s"] > merged[f"{kind}_max_s"]:
            message = f"{kind}_min_s may not be more than {kind}_max_s"
            raise BadChange(message)
    return found


def seconds(asked: object, name: str) -> float:
    """Return a length of time from a body like `{"advance_s": 60}`. Raises BadChange."""
    if not isinstance(asked, Mapping) or set(asked) != {name}:
        message = f'send {{"{name}": SECONDS}}'
        raise BadChange(message)
    return float(_like(name, 0.0, asked[name]))


def _like(name: str, example: object, value: object, *, most: float = math.inf) -> Any:
    """Return `value` if it is of the kind of `example`. Raises BadChange."""
    # NaN is neither more nor less than anything, so no comparison lets it through.
    if isinstance(example, bool | str):
        if isinstance(value, type(example)):
            return value
        kind = "true or false" if isinstance(example, bool) else "a text"
        message = f"{name}: it is {kind}"
        raise BadChange(message)
    share, whole = isinstance(example, float) and most < math.inf, isinstance(example, int)
    kind = "a share from 0 to 1" if share else "a whole number, 0 or more" if whole else "a number, 0 or more"
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= (most if share else _MOST):
        message = f"{name}: it is {kind}"
        raise BadChange(message)
    if whole and value != int(value):
        message = f"{name}: it is {kind}"
        raise BadChange(message)
    return int(value) if whole else value
