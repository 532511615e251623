"""`GET /healthz`: the process lives. `GET /readyz`: Redis answers, so webhooks and records can be kept.

A gateway that was told to end is not ready any more, while it lives.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from worker.gateway.state import Gateway

#: Until Redis counts as away, in seconds: shorter than the time-outs of those who ask.
ANSWER_S: Final = 2.0


def routes(gateway: Gateway) -> list[Route]:
    """Return the routes that say how the gateway is."""

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_: Request) -> Response:
        if gateway.draining:
            return JSONResponse({"status": "draining"}, 503)
        try:
            async with asyncio.timeout(ANSWER_S):
                for account in gateway.accounts.values():
                    # redis-py types its replies for both kinds of client alike.
                    redis: Any = account.redis
                    await redis.ping()
        except (RedisError, OSError, TimeoutError) as error:
            return JSONResponse({"status": "unavailable", "redis": type(error).__name__}, 503)
        return JSONResponse({"status": "ok", "redis": "answers"})

    return [Route("/healthz", healthz), Route("/readyz", readyz)]
