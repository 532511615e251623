"""The gateway's app behind a real server on loopback, with a real Redis."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import uvicorn
from redis import Redis

from config.settings import load_settings
from worker.gateway.app import create_app
from worker.gateway.protocol import CarefulProtocol
from worker.katalo.signature import sign

SECRET, OLD_SECRET = "the-new-secret", "the-old-secret"
PATH = "/webhooks/katalo"


@dataclass
class Door:
    """A gateway that serves, and what stands behind it."""

    http: httpx.Client
    address: tuple[str, int]
    redis: Redis

    def send(
        self, event: object, *, secret: str = SECRET, path: str = PATH, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """Send a webhook, signed unless `headers` say otherwise."""
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        return self.http.post(path, content=body, headers={"x-katalo-signature": sign(body, secret)} | (headers or {}))

    def counts(self, account: str = "default") -> dict[str, int]:
        """Return the webhooks of an account so far, by outcome."""
        found: Any = self.redis.hgetall(f"sc1:{{{account}}}:webhooks")
        return {name: int(number) for name, number in found.items()}


Open = Callable[..., Door]


@pytest.fixture
def gateway(redis_url: str) -> Iterator[Open]:
    """Serve a gateway: `gateway(redis=URL, **variables)`."""
    with contextlib.ExitStack() as stack:

        def build(redis: str = redis_url, **variables: str) -> Door:
            given = {"STAGECREW_REDIS_URL": redis, "KATALO_WEBHOOK_SECRET": f"{SECRET},{OLD_SECRET}", **variables}
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            server = uvicorn.Server(
                uvicorn.Config(
                    create_app(load_settings(given)), log_config=None, lifespan="on", http=CarefulProtocol, ws="none"
                )
            )
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
            thread.start()
            stack.callback(thread.join)
            stack.callback(setattr, server, "should_exit", True)
            address = listener.getsockname()
            http = stack.enter_context(httpx.Client(base_url=f"http://{address[0]}:{address[1]}", timeout=60))
            return Door(http, address, stack.enter_context(Redis.from_url(redis, decode_responses=True)))

        yield build


@pytest.fixture
def door(gateway: Open) -> Door:
    """A gateway with two secrets and a Redis that answers."""
    return gateway()


def completed(job: str = "gen_1", **more: Any) -> dict[str, Any]:
    """Return a webhook's payload."""
    outputs = [{"url": f"https://api/{job}?signature=hush"}]
    return {"event_type": "generation.completed", "job_id": job, "outputs": outputs, **more}
