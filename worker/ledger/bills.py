"""Lines of the billing ledger that a walk has read, and where it stands: so that a walk that broke off goes on.

A line is kept once, by its `event_id`, whatever order the pages come in and however often one is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Any, Final

from worker.core.moments import parse_ms
from worker.core.reconcile import Line
from worker.katalo.accounting import BillingEvent
from worker.lua import Scripts

#: After its last page a walk is kept for so long.
KEPT_MS: Final = 3 * 86_400_000
#: Jobs that no receipt in the store names are looked for there once, and remembered for so long.
STRANGERS_MS: Final = 62 * 86_400_000
_CURSOR: Final = "cursor"
_LINE: Final = "e:"


class Bills:
    """The walks of one account. All methods may raise RedisError."""

    def __init__(self, scripts: Scripts) -> None:
        """Two walks of one name share their lines: both are of the same ledger."""
        self._root = scripts.root
        # redis-py types its replies for bytes and text alike; ours are text.
        self._redis: Any = scripts.redis

    async def position(self, walk: str) -> str | None:
        """Return the cursor at which a walk goes on; None: at the beginning."""
        found: str | None = await self._redis.hget(self._key(walk), _CURSOR)
        return found or None

    async def has_all(self, walk: str, events: Sequence[BillingEvent]) -> bool:
        """Say whether every one of these lines is kept already."""
        fields = [f"{_LINE}{_name(event)}" for event in events]
        return not fields or None not in await self._redis.hmget(self._key(walk), fields)

    async def keep(self, walk: str, events: Sequence[BillingEvent], cursor: str | None) -> None:
        """Keep a page's lines and the next position together; no cursor: the walk is at its end."""
        fields = {f"{_LINE}{_name(event)}": _text(event) for event in events}
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(self._key(walk), mapping=fields | {_CURSOR: cursor or ""})
            pipe.pexpire(self._key(walk), KEPT_MS)
            await pipe.execute()
        await self.learn_prices(events)

    async def learn_prices(self, events: Sequence[BillingEvent]) -> None:
        """Keep the last price of each usage type that costs something."""
        prices = {
            event.usage_type or "job": str(event.unit_price_usd)
            for event in events
            # A refund is no price: it may have the type of what it gives back.
            if event.unit_price_usd is not None and event.unit_price_usd >= 0 and event.billable is not False
            if event.amount_usd is None or event.amount_usd >= 0
        }
        if prices:
            await self._redis.hset(f"{self._root}prices", mapping=prices)

    async def lines(self, walk: str) -> AsyncIterator[Line]:
        """Give all lines that a walk has kept."""
        async for name, text in self._redis.hscan_iter(self._key(walk), match=f"{_LINE}*", count=1000):
            yield _line(name.removeprefix(_LINE), text)

    async def prices(self) -> dict[str, Decimal]:
        """Return the last price seen of each usage type, in USD."""
        found = await self._redis.hgetall(f"{self._root}prices")
        return {name: Decimal(price) for name, price in found.items()}

    async def strangers(self, job_ids: Sequence[str]) -> set[str]:
        """Return those of the jobs that were looked for in the store before, and not found."""
        if not job_ids:
            return set()
        known = await self._redis.hmget(self._key("strangers"), job_ids)
        return {job_id for job_id, seen in zip(job_ids, known, strict=True) if seen}

    async def note_strangers(self, job_ids: Sequence[str]) -> None:
        """Remember jobs that the store knows nothing of."""
        if job_ids:
            await self._redis.hset(self._key("strangers"), mapping=dict.fromkeys(job_ids, "1"))
            # From the first on: strangers that come every day would keep it, and let it grow, for ever.
            await self._redis.pexpire(self._key("strangers"), STRANGERS_MS, nx=True)

    def _key(self, walk: str) -> str:
        return f"{self._root}billing:{walk}"


def _name(event: BillingEvent) -> str:
    if event.event_id is not None:
        return event.event_id
    # Without an id, what the line says is its name.
    return hashlib.sha256(_text(event).encode()).hexdigest()[:32]


def _text(event: BillingEvent) -> str:
    amount = None if event.amount_usd is None else str(event.amount_usd)
    parts = [event.job_id, event.usage_type, event.created_at, event.source_asset_id, event.billable, amount]
    return json.dumps(parts, separators=(",", ":"))


def _line(event_id: str, text: str) -> Line:
    job_id, usage_type, created_at, asset, billable, amount = json.loads(text)
    return Line(
        event_id=event_id,
        job_id=job_id,
        usage_type=usage_type,
        created_at=created_at,
        created_ms=parse_ms(created_at),
        source_asset_id=asset,
        billable=billable,
        amount_usd=None if amount is None else Decimal(amount),
    )
