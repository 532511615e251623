"""What may be done now: one script that leases the photos for which time, budgets, slots and hands are there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from worker.core.cadence import PRESSED
from worker.core.photo import StepName
from worker.core.routes import Route
from worker.flow.cadence import Cadence
from worker.flow.limits import ALIVE_MS, Limits
from worker.lua import Scripts

#: A leader that does not look again within this time has died, in ms.
LEADER_MS: Final = 3_000
#: Photos that fill a message, and how long steps that hold nothing up wait for as many, in ms of the API's time.
FULL_BATCH: Final = 32
PATIENCE_MS: Final = 800
#: After a refusal for jobs in flight the lowered cap grows by one in each of these, in ms of the API's time.
PROBE_MS: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatched:
    """One leased photo to be sent to a worker: its key, fencing token, and name for people."""

    step: StepName
    key: str
    token: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """The leader's orders: what to send now, to how many live workers, and when to look again at the latest.

    `at_work`: photos whose steps are open, those of these orders included.
    """

    photos: tuple[Dispatched, ...]
    workers: int
    again_ms: int
    at_work: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Follow:
    """Another worker leads, for at least so long."""

    ms: int


class Dispatching:
    """The dispatch script with the settings in force."""

    def __init__(
        self,
        scripts: Scripts,
        limits: Limits,
        *,
        cadence: Cadence,
        lease_ms: int,
        look_ahead: int | None,
        ageing_ms: int,
        speed: float,
        weights: Mapping[str, int] | None = None,
    ) -> None:
        """`look_ahead`: photos between the backlog of sources and a slot, None: as many as `cadence` says.

        `ageing_ms`: waiting that is worth one priority. `weights`: turns of a partner for each one of a partner
        that is not named.
        """
        self.clock = ""
        self._scripts = scripts
        self._caps = limits.caps
        self._cadence = cadence
        self._look_ahead = look_ahead
        paced = {StepName.POLL_GENERATION}
        budgets = {
            step.value: [
                [*budget.args(), (budget.window_ms - limits.guard_ms) / budget.count if step in paced else 0]
                for budget in limits.for_step(step)
            ]
            for step in StepName
        }
        self._settings = {
            "leader_ms": LEADER_MS,
            "lease_ms": lease_ms,
            "alive_ms": ALIVE_MS,
            "cap": limits.in_flight,
            "pressed": PRESSED,
            "batch": FULL_BATCH,
            "patience_ms": int(PATIENCE_MS / speed),
            "probe_ms": int(PROBE_MS / speed),
            "ageing_ms": ageing_ms,
            "grows": 0 if Route.INGEST_READS in limits.fixed else limits.budgets[Route.GENERATION_READS].count,
            "weights": dict(weights or {}),
            "budgets": {step: found for step, found in budgets.items() if found},
        }

    async def dispatch(self, worker: str) -> Orders | Follow:
        """Lead, if nobody else does, and lease what may be done now."""
        ahead = self._look_ahead or await self._cadence.look_ahead()
        args = [self.clock, worker, json.dumps(self._settings | {"look_ahead": ahead}), self._caps.text]
        word, wait_ms, *rest = await self._scripts.call("worker.flow.lua", "dispatch", args)
        if word == "follow":
            return Follow(ms=max(0, int(wait_ms)))
        workers, at_work, *flat = rest
        photos = tuple(
            Dispatched(step=StepName(flat[i]), key=flat[i + 1], token=flat[i + 2], label=flat[i + 3])
            for i in range(0, len(flat), 4)
        )
        return Orders(photos=photos, workers=int(workers), again_ms=int(wait_ms), at_work=int(at_work))
