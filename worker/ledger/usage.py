"""The usage summary as the fleet last read it: one copy for caps, `status`, metrics and the limits in force."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from worker.core.moments import parse_ms
from worker.katalo.accounting import UsageSummary, usage_of
from worker.lua import Scripts

_PACKAGE: Final = "worker.ledger.lua"


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRead:
    """A usage summary and when it was read, in ms since the epoch by Redis's clock."""

    summary: UsageSummary
    read_ms: int


class UsageBook:
    """Keeps the last summary of one account."""

    def __init__(self, scripts: Scripts, *, clock: str = "") -> None:
        """`clock`: a pushed time in ms for tests; empty means Redis's own."""
        self.clock = clock
        self._scripts = scripts
        # redis-py types its replies for bytes and text alike; ours are text.
        self._redis: Any = scripts.redis

    async def write(self, summary: UsageSummary) -> UsageRead:
        """Keep a summary; in the same script what was bought so far. Raises RedisError."""
        left = remaining(summary)
        args = [
            self.clock,
            json.dumps(dict(summary.raw), default=str),
            _text(parse_ms(summary.period_start)),
            _text(parse_ms(summary.period_end)),
            # Lua counts in doubles, and a share of a job is none.
            _text(int(left) if left is not None else None),
            "0" if summary.enabled is False else "",
        ]
        return UsageRead(summary=summary, read_ms=int(await self._scripts.call(_PACKAGE, "usage_read", args)))

    async def last(self) -> UsageRead | None:
        """Return the last summary, or None when none was read. Raises RedisError."""
        raw, read_ms = await self._redis.hmget(f"{self._scripts.root}usage", "raw", "usage_ms")
        if raw is None:
            return None
        return UsageRead(summary=usage_of(json.loads(raw, parse_float=Decimal)), read_ms=int(read_ms or 0))


def remaining(summary: UsageSummary) -> Decimal | None:
    """Return what is left of the allowance, as said or as it follows; None when the summary does not tell."""
    usage = summary.usage
    if "remaining" in usage:
        return max(Decimal(0), usage["remaining"])
    if "included" in usage and "consumed" in usage:
        return max(Decimal(0), usage["included"] - usage["consumed"])
    return None


def _text(number: int | None) -> str:
    return "" if number is None else str(number)
