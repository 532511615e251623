"""What jobs were billed, as far as a walk of the billing ledger that is still kept has read it."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Any

from worker.ledger.bills import Bills
from worker.ledger.bought import DAY_MS, KEPT_DAYS
from worker.lua import Scripts


class Amounts:
    """Reads amounts of one account."""

    def __init__(self, scripts: Scripts) -> None:
        """Nothing is asked of the API."""
        self._scripts = scripts
        self._bills = Bills(scripts)

    async def of(self, job_ids: Collection[str]) -> dict[str, Decimal]:
        """Return the amounts in USD of those jobs whose bills are known. Raises RedisError."""
        today = await self._scripts.now_ms() // DAY_MS
        walks = [str(day) for day in range(today - KEPT_DAYS, today + 1)]
        redis: Any = self._scripts.redis
        async with redis.pipeline(transaction=False) as pipe:
            for walk in walks:
                pipe.exists(f"{self._scripts.root}billing:{walk}")
            kept = [walk for walk, there in zip(walks, await pipe.execute(), strict=True) if there]
        wanted, lines = frozenset(job_ids), dict[str, tuple[str, Decimal]]()
        for walk in kept:
            async for line in self._bills.lines(walk):
                # Two walks may have read the same line.
                if line.job_id in wanted and line.job_id is not None and line.amount_usd is not None:
                    lines[line.event_id] = (line.job_id, line.amount_usd if line.costs else Decimal(0))
        amounts: dict[str, Decimal] = {}
        for job_id, amount in lines.values():
            amounts[job_id] = amounts.get(job_id, Decimal(0)) + amount
        return amounts
