"""Whatever way a connection to Redis breaks, the caller sees a RedisError."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis.exceptions import RedisError

from worker.lua import Scripts


class Closed:
    """A client whose transport was closed under it."""

    async def evalsha(self, *_: Any) -> Any:
        raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")


def test_a_connection_that_breaks_while_it_is_opened_is_a_redis_error() -> None:
    redis: Any = Closed()
    scripts = Scripts(redis, "sc1:{default}:", forgets_ms=0)
    with pytest.raises(RedisError, match="the connection to Redis broke"):
        asyncio.run(scripts.call("worker.ledger.lua", "open", []))
