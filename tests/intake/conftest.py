"""The real routes on loopback, served by uvicorn over a real Redis; only the control of photos is a fake."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from config.rotation import LiveAccounts
from config.settings import Settings, load_settings
from worker.core.identity import photo_key
from worker.core.photo import Stage
from worker.gateway import intake
from worker.gateway.state import Gateway
from worker.services import Account, open_account
from worker.storage.store import Store

TOKEN = "a-token-of-the-tests-0123456789"
#: An old and a new one, as while they are rotated.
TOKENS = f"another-token-0123456789,{TOKEN}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What the fake control answers for a photo."""

    photo_id: str
    verdict: str
    stage: Stage | None
    number: int = 0


@dataclass(slots=True)
class FakeControl:
    """Knows photos by the verdict that they get, and remembers what was asked."""

    verdicts: dict[tuple[str, str], str] = field(default_factory=dict)
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    async def regenerate(self, photos: Sequence[tuple[str, str]], *, number: int | None = None) -> list[Made]:
        """Answer what the test said."""
        self.asked.append(("regenerate", tuple(photos), number))
        return [self._made(name, number or 1) for name in photos]

    async def cancel(self, photos: Sequence[tuple[str, str]], *, keep: bool = True) -> list[Made]:
        """Answer what the test said."""
        self.asked.append(("cancel", tuple(photos), keep))
        return [self._made(name, withdrawn=True) for name in photos]

    def _made(self, name: tuple[str, str], number: int = 0, *, withdrawn: bool = False) -> Made:
        verdict = self.verdicts.get(name, "unknown")
        if withdrawn and verdict == "asked":
            verdict = "withdrawn"
        stage = None if verdict == "unknown" else Stage.ACCEPTED
        return Made(photo_id=name[1], verdict=verdict, stage=stage, number=number)


@dataclass
class Served:
    """A gateway that serves; `client` knows its address and has a token."""

    settings: Settings
    address: tuple[str, int]
    client: httpx.Client
    control: FakeControl

    def post(self, records: Any, **more: Any) -> httpx.Response:
        """Send records as one JSON document."""
        return self.client.post("/v1/listings", json=records, **more)

    def lines(self, content: Any, **more: Any) -> httpx.Response:
        """Send JSON Lines."""
        return self.client.post(
            "/v1/listings", content=content, headers={"Content-Type": "application/x-ndjson"}, **more
        )

    def ask(self, question: Callable[[Account], Coroutine[Any, Any, Any]]) -> Any:
        """Ask the account itself, past the gateway."""

        async def asked() -> Any:
            async with open_account(self.settings) as account:
                return await question(account)

        return asyncio.run(asked())

    def put(self, account: str, listing_id: str, photo_id: str, **fields: str) -> None:
        """Let a photo of an account be where a test wants it."""

        async def changed() -> None:
            async with open_account(self.settings, account) as opened:
                redis: Any = opened.redis
                await redis.hset(f"{opened.scripts.root}p:{photo_key(listing_id, photo_id)}", mapping=fields)

        asyncio.run(changed())

    def kept(self) -> set[tuple[str, str]]:
        """Return (listing, photo) of all that is in the ledger."""

        async def names(account: Account) -> set[tuple[str, str]]:
            redis: Any = account.redis
            rows = [await redis.hgetall(key) async for key in redis.scan_iter(f"{account.scripts.root}p:*")]
            return {(row["listing_id"], row["photo_id"]) for row in rows}

        found: set[tuple[str, str]] = self.ask(names)
        return found


@contextlib.contextmanager
def serving(settings: Settings, *, control: FakeControl | None = None, real: bool = False) -> Iterator[Served]:
    """Serve the routes while the block runs; with `real` photos are steered by the ledger itself."""
    gateway = Gateway(settings=settings, live=LiveAccounts(settings))
    fake = control or FakeControl()

    def control_of(account: Account, store: Store) -> FakeControl:
        return fake

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with gateway.open():
            yield

    app = Starlette(lifespan=lifespan, routes=intake.routes(gateway) if real else intake.routes(gateway, control_of))
    app.router.redirect_slashes = False
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=5))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{address[1]}", headers=headers, timeout=60) as client:
        try:
            yield Served(settings=settings, address=address, client=client, control=fake)
        finally:
            client.close()
            server.should_exit = True
            thread.join()
            listener.close()


@pytest.fixture
def gateway_settings(redis_url: str, tmp_path: object) -> Settings:
    """Settings with tokens, an empty Redis and a store of their own."""
    return load_settings(
        {
            "STAGECREW_REDIS_URL": redis_url,
            "STAGECREW_STORAGE_URL": f"file://{tmp_path}/output",
            "STAGECREW_INTAKE_TOKENS": TOKENS,
            "STAGECREW_INTAKE_MAX_BYTES": "20000000",
        }
    )


@pytest.fixture
def served(gateway_settings: Settings) -> Iterator[Served]:
    """A gateway over an empty Redis."""
    with serving(gateway_settings) as running:
        yield running


def record(listing_id: str = "listing-1", *photo_ids: str, **more: Any) -> dict[str, Any]:
    """Return a record with good photos."""
    photos = [{"photo_id": name, "source": f"https://photos.example.com/{at}.jpg", "mode": "clean"}
              for at, name in enumerate(photo_ids or ("front",))]  # fmt: skip
    return {"listing_id": listing_id, "photos": photos, **more}


def as_lines(*records: Any) -> bytes:
    """Return records as JSON Lines."""
    return b"".join(json.dumps(one).encode() + b"\n" for one in records)
