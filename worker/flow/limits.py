"""The budgets in force, as the scripts take them: route, count, window with guard in ms of the fleet's clock.

A grant is good for the guard only: a call that is not sent within it is not sent. So a window of the API, wherever it
begins, holds no more calls than the count, whatever the delay on the way (up to the guard). When a call is over it is
known to have come in, and the guard is given back (`worker/lua/called.lua`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from worker.core.photo import StepName
from worker.core.routes import Route
from worker.flow.caps import NO_CAPS, Caps

#: A worker unseen for this long is taken for dead, in ms.
ALIVE_MS: Final = 6_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """`count` calls of `route` in every sliding window of `window_ms` (the guard included)."""

    route: Route
    count: int
    window_ms: int

    def args(self) -> tuple[str, int, int]:
        """Return the budget as a script's arguments."""
        return (self.route.value, self.count, self.window_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one organisation may do: a budget for each route, and the cap of jobs in flight."""

    budgets: Mapping[Route, Budget]
    in_flight: int
    guard_ms: int
    caps: Caps = NO_CAPS
    #: Names of the limits that the settings fix: what the API reports does not change them.
    fixed: frozenset[str] = frozenset()

    def for_step(self, step: StepName) -> tuple[Budget, ...]:
        """Return the budgets that every run of `step` draws on."""
        route = _ROUTE_OF.get(step)
        return () if route is None else (self.budgets[route],)


def corrected(limits: Limits, found: Mapping[str, str]) -> Limits:
    """Return `limits` corrected by what an account's hash `limits` holds (`worker/lua/in_force.lua`)."""
    budgets = dict(limits.budgets)
    in_flight = limits.in_flight
    for name, text in found.items():
        count, window_ms, _ = json.loads(text)
        if name == "in_flight":
            in_flight = int(count)
        elif name in set(Route):
            route = Route(name)
            budgets[route] = Budget(route=route, count=int(count), window_ms=int(window_ms))
    return replace(limits, budgets=budgets, in_flight=in_flight)


_ROUTE_OF: Mapping[StepName, Route] = {
    StepName.INGEST_SOURCE: Route.SOURCE_ASSETS,
    StepName.POLL_INGEST: Route.INGEST_READS,
    StepName.CREATE_GENERATION: Route.GENERATIONS,
    StepName.POLL_GENERATION: Route.GENERATION_READS,
}
