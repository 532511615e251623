"""Permission to call the API now, for the whole fleet: one script, all limits of a call together, all or none."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from worker.core.photo import Photo, Stage
from worker.flow.limits import ALIVE_MS, Budget, Limits
from worker.gathering import Gathering
from worker.lua import Scripts

_PACKAGE: Final = "worker.flow.lua"


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """The call may be sent until the guard has passed; `still_good()` is asked right before the send."""

    #: `time.monotonic()` from before the question, so that the grant is never older than it looks.
    asked_s: float
    guard_ms: int

    def still_good(self) -> bool:
        """Say whether the grant is within its guard, by this process's own monotonic clock."""
        return (time.monotonic() - self.asked_s) * 1000 < self.guard_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Not now: the earliest time at which asking again can succeed, in ms from now."""

    ms: int
    #: A cap on what may be bought is reached: the photo goes back to its place in the backlog until that moves.
    capped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale:
    """The lease is somebody else's by now: nothing may be called."""


class Admission:
    """Grants, pauses and heartbeats of one account."""

    def __init__(self, scripts: Scripts, limits: Limits, *, clock: str = "") -> None:
        """`clock`: a pushed time in ms for tests; empty means Redis's own."""
        self.limits = limits
        self.clock = clock
        self._scripts = scripts
        self._asking: Gathering[str, list[Any]] = Gathering(self._ask)

    async def admit(
        self,
        photo: Photo,
        budgets: Sequence[Budget],
        *,
        takes_slot: bool = False,
        intent: Mapping[str, str] | None = None,
        stage: Stage | None = None,
    ) -> Granted | Wait | Stale:
        """Ask for one write. With `intent` its fields are in the row before the answer, so before any send."""
        asked_s = time.monotonic()
        request = [
            photo.key,
            photo.token,
            self.limits.in_flight if takes_slot else 0,
            [text for pair in (intent or {}).items() for text in pair],
            stage.value if stage else "",
            [budget.args() for budget in budgets],
        ]
        word, wait_ms = await self._asking(json.dumps(request))
        if word == "granted":
            return Granted(asked_s=asked_s, guard_ms=self.limits.guard_ms)
        return Stale() if word == "stale" else Wait(ms=int(wait_ms), capped=word == "capped")

    async def _ask(self, requests: Sequence[str]) -> list[list[Any]]:
        answers: list[list[Any]] = await self._scripts.call(
            _PACKAGE, "admit", [self.clock, self.limits.caps.text, *requests]
        )
        return answers

    async def grant(self, budget: Budget, token: str, *, probe: bool = False) -> Granted | Wait:
        """Ask for one call that belongs to no photo; `probe`: the account's own pause does not hold it."""
        asked_s = time.monotonic()
        args: list[str | int] = [self.clock, token, *budget.args(), "1" if probe else ""]
        word, wait_ms = await self._scripts.call(_PACKAGE, "grant", args)
        return Granted(asked_s=asked_s, guard_ms=self.limits.guard_ms) if word == "granted" else Wait(ms=int(wait_ms))

    async def refused(self, route: str, pause_ms: int, *, in_flight: bool = False) -> None:
        """Pause `route` (or `account`) for the whole fleet; with `in_flight` lower the cap of slots instead."""
        await self._scripts.call(_PACKAGE, "refused", [self.clock, route, pause_ms, "1" if in_flight else ""])

    async def report(self, rate_limits: Mapping[str, str], *, speed: float) -> list[str]:
        """Put in force what the API reports (`120/60s` by route, `in_flight`); return the names of what changed.

        `speed`: API time per fleet time. What the settings fix stays as it is.
        """
        args: list[str | int] = []
        for name, text in sorted(rate_limits.items()):
            if name in self.limits.fixed:
                continue
            count, _, window = text.partition("/")
            window_ms = int(float(window.removesuffix("s")) * 1000 / speed) + self.limits.guard_ms if window else 0
            args += [name, int(count), window_ms]
        return [str(name) for name in await self._scripts.call(_PACKAGE, "report", args)]

    async def heartbeat(self, worker: str, *, hands: int, busy: int, version: str) -> None:
        """Say that `worker` lives and has so many hands; 0 hands takes it off the list and gives up its lead.

        The last to go takes back the leases of what nobody has begun.
        """
        await self._scripts.call(_PACKAGE, "heartbeat", [self.clock, worker, hands, busy, version, ALIVE_MS])
