"""The gateway as an ASGI app: a list of routes for each of its parts, and a lifespan that opens what they need.

| route | part |
|---|---|
| `POST /webhooks/katalo`, `POST /webhooks/katalo/{account}` | `worker/gateway/webhooks.py` |
| `/v1/...`, `GET /docs` | `worker/gateway/intake.py` |
| `GET /healthz`, `GET /readyz` | `worker/gateway/health.py` |
| `GET /metrics` | `worker/gateway/metrics.py` |
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from starlette.applications import Starlette

from config.rotation import LiveAccounts
from worker.gateway import health, intake, metrics, webhooks
from worker.gateway.state import Gateway

if TYPE_CHECKING:
    from config.settings import Settings


def create_app(settings: Settings) -> Starlette:
    """Return the app; nothing is opened before its lifespan begins."""
    gateway = Gateway(settings=settings, live=LiveAccounts(settings))

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with gateway.open():
            yield

    parts = (webhooks, intake, health, metrics)
    app = Starlette(lifespan=lifespan, routes=[route for part in parts for route in part.routes(gateway)])
    # A redirect to the same path with or without a slash would lose the body of whoever does not follow it.
    app.router.redirect_slashes = False
    app.state.gateway = gateway
    return app
