"""Duties of the fleet's upkeep: each is done by one worker at a time, each so often, by Redis's clock."""

from __future__ import annotations

from typing import Final

from worker.lua import Scripts

_PACKAGE: Final = "worker.flow.lua"
#: A worker that has a duty and is not heard of for this long has died, in ms.
LEASE_MS: Final = 30_000


class Duties:
    """Who does what of one account's upkeep."""

    def __init__(self, scripts: Scripts, *, clock: str = "") -> None:
        """`clock`: a pushed time in ms for tests; empty means Redis's own."""
        self.clock = clock
        self._scripts = scripts

    async def take(self, duty: str, worker: str, *, every_ms: int, first_ms: int = 0) -> bool:
        """Take or renew a duty; False when it is not due, or another worker is at it. Raises RedisError."""
        args: list[str | int] = [self.clock, duty, worker, every_ms, LEASE_MS, first_ms]
        return bool(await self._scripts.call(_PACKAGE, "duty", args) == "mine")

    async def done(self, duty: str, worker: str, *, again_ms: int) -> bool:
        """Give a duty back until it is due again; False when somebody else has it by now. Raises RedisError."""
        args: list[str | int] = [self.clock, duty, worker, again_ms]
        return bool(await self._scripts.call(_PACKAGE, "duty_done", args) == "done")
