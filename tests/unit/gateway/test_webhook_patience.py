"""Nothing that hangs holds a webhook for ever: a Redis that is stopped, a sender that dribbles."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from starlette.requests import Request

from config.rotation import LiveAccounts
from config.settings import load_settings
from tests.unit.gateway.conftest import Open, completed
from worker.embedded.redis_server import embedded_redis
from worker.gateway.state import Gateway
from worker.gateway.webhooks import Webhooks


def test_a_redis_that_hangs_makes_a_webhook_come_again(gateway: Open, tmp_path: Path) -> None:
    with embedded_redis(tmp_path / "own") as redis:
        assert redis.pid is not None
        door = gateway(redis=redis.url)
        assert door.send(completed()).status_code == 200
        os.kill(redis.pid, signal.SIGSTOP)
        try:
            assert door.send(completed()).status_code == 503
            assert door.http.get("/readyz").status_code == 503
            assert door.http.get("/healthz").status_code == 200
        finally:
            os.kill(redis.pid, signal.SIGCONT)
        assert door.send(completed()).json() == {"outcome": "duplicate"}


def test_a_body_that_never_ends_is_given_up() -> None:
    settings = load_settings({"KATALO_WEBHOOK_SECRET": "hush"})
    webhooks = Webhooks(Gateway(settings=settings, live=LiveAccounts(settings)), body_s=0.01)
    came: list[Any] = [{"type": "http.request", "body": b"{", "more_body": True}]

    async def receive() -> Any:
        return came.pop() if came else await asyncio.Event().wait()

    async def ask() -> Any:
        scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": b""}
        return await webhooks(Request(scope, receive))

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.headers["connection"]) == (503, "close")


def test_bodies_that_would_fill_the_memory_together_come_again_and_those_after_them_are_taken() -> None:
    settings = load_settings({"KATALO_WEBHOOK_SECRET": "hush"})
    inbox: Any = SimpleNamespace(count=lambda _: asyncio.sleep(0))
    accounts: Any = {"default": SimpleNamespace(inbox=inbox)}
    gateway = Gateway(settings=settings, live=LiveAccounts(settings), accounts=accounts)
    webhooks = Webhooks(gateway, most_held_bytes=100)

    async def ask(size: int, *, ends: bool) -> Any:
        came: list[Any] = [{"type": "http.request", "body": b"x" * size, "more_body": not ends}]

        async def receive() -> Any:
            return came.pop() if came else await asyncio.Event().wait()

        scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": b""}
        return await webhooks(Request(scope, receive))

    async def live() -> None:
        slow = asyncio.create_task(ask(80, ends=False))
        await asyncio.sleep(0)
        refused = await ask(40, ends=True)
        assert (refused.status_code, refused.headers["connection"]) == (503, "close")
        assert (await ask(20, ends=True)).status_code == 401
        slow.cancel()
        await asyncio.wait([slow])
        assert (await ask(100, ends=True)).status_code == 401

    asyncio.run(live())
