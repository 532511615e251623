"""A parked account: the API refused the account itself, nothing is sent for it, and no photo is to blame.

It is parked once and says so in one event, however many calls were refused; it is probed gently by reading the usage
summary, and goes on by itself, which is one event too. No attempt is spent by any of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from worker.core.events import account_parked, account_resumed
from worker.lua import Scripts

_PACKAGE: Final = "worker.flow.lua"
#: Until the first probe, the longest time between two, and how long calls are tried after a good one. API time, ms.
PROBE_MS: Final = 30_000
LONGEST_PROBE_MS: Final = 600_000
TRIAL_MS: Final = 30_000


class ParkingState(StrEnum):
    """What a probe left behind."""

    NONE = "none"
    PARKED = "parked"
    TRIAL = "trial"
    RESUMED = "resumed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """An account that is parked, or on trial after a good probe; times in ms since the epoch."""

    state: ParkingState
    reason: str
    since_ms: int
    next_probe_ms: int


class Parking:
    """Parks and resumes one account."""

    def __init__(self, scripts: Scripts, *, account: str, speed: float, destinations: str) -> None:
        """`speed`: API time per fleet time; `destinations`: where messages go, as scripts take it (`emit.lua`)."""
        self.clock = ""
        self._account = account
        self._speed = speed
        self._scripts = scripts
        self._destinations = destinations
        # redis-py types its replies for bytes and text alike; ours are text.
        self._redis: Any = scripts.redis

    async def park(self, reason: str, *, at_least_ms: int = 0) -> bool:
        """Park the account; True when it was not parked before. `at_least_ms`: what the API asked for, in its time."""
        event = account_parked(self._account, reason, await self._scripts.now_ms(self.clock))
        args: list[str | int] = [
            self.clock,
            reason,
            int(max(PROBE_MS, at_least_ms) / self._speed),
            int(LONGEST_PROBE_MS / self._speed),
            event,
            self._destinations,
        ]
        return bool(await self._scripts.call(_PACKAGE, "park_account", args) == "parked")

    async def probed(self, *, good: bool, reason: str = "") -> ParkingState:
        """Note what a probe saw; return what the account is after it.

        `reason`: why the API refuses the account; empty when the probe could not find out, and the old one stays.
        """
        event = account_resumed(self._account, await self._scripts.now_ms(self.clock))
        trial_ms = int(TRIAL_MS / self._speed)
        args: list[str | int] = [self.clock, "1" if good else "", reason, trial_ms, event, self._destinations]
        return ParkingState(await self._scripts.call(_PACKAGE, "probe_account", args))

    async def mended(self) -> None:
        """Try the account's calls again at once: it has another key."""
        await self._scripts.call(_PACKAGE, "mended", [self.clock, int(TRIAL_MS / self._speed)])

    async def state(self) -> Parked | None:
        """Return how the account is parked, or None when it is not."""
        return parked_of(await self._redis.hgetall(f"{self._scripts.root}parking"))


def parked_of(found: dict[str, str]) -> Parked | None:
    """Return the hash `parking` as a value; None when it is empty."""
    if not found:
        return None
    return Parked(
        state=ParkingState(found["state"]),
        reason=found["reason"],
        since_ms=int(found.get("since_ms", 0)),
        next_probe_ms=int(float(found["next_ms"])),
    )
