"""Whoever sends too much or too slowly is sent away, and the others are served."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import httpx
import pytest
import uvicorn
from redis import Redis

from config.settings import load_settings
from tests.unit.gateway.conftest import PATH, SECRET, Door, completed
from worker.gateway.app import create_app
from worker.gateway.protocol import MAX_HEAD_BYTES, CarefulProtocol


class Impatient(CarefulProtocol):
    head_s = 0.3


@contextlib.contextmanager
def serving(redis_url: str, protocol: type[CarefulProtocol], most: int = 1_000) -> Iterator[Door]:
    """Serve a gateway as `worker/gateway/server.py` does."""
    given = load_settings({"STAGECREW_REDIS_URL": redis_url, "KATALO_WEBHOOK_SECRET": SECRET})
    config = uvicorn.Config(
        create_app(given), log_config=None, lifespan="on", http=protocol, ws="none", limit_concurrency=most
    )
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        Redis.from_url(redis_url, decode_responses=True) as redis,
    ):
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        address = listener.getsockname()
        try:
            with httpx.Client(base_url=f"http://{address[0]}:{address[1]}", timeout=60) as http:
                yield Door(http, address, redis)
        finally:
            server.should_exit = True
            thread.join()


def pour(door: Door, head: bytes, piece: bytes) -> tuple[int, bytes]:
    """Send a head and then a piece again and again until nobody takes it; return how much went, and the answer."""
    with socket.create_connection(door.address) as caller:
        caller.settimeout(60)
        caller.sendall(head)
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 64 * 1024 * 1024:
                sent += caller.send(piece)
        answer = b""
        with contextlib.suppress(OSError):
            answer = caller.recv(4_096)
        return sent, answer


CHUNKED = b"POST /webhooks/katalo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
ENDLESS = {
    "a request line": (b"GET /", b"a" * 4_096),
    "a header": (b"GET / HTTP/1.1\r\nhost: x\r\nname: ", b"a" * 4_096),
    "headers": (b"GET / HTTP/1.1\r\nhost: x\r\n", b"name: value\r\n" * 300),
    "line ends": (b"", b"\r\n" * 2_048),
    "a chunk's extension": (CHUNKED + b"1;", b"a" * 4_096),
    "a trailer": (CHUNKED + b"1\r\n{\r\n0\r\nname: ", b"a" * 4_096),
}  # fmt: skip


def test_nobody_fills_the_memory_with_what_is_no_body(redis_url: str) -> None:
    with serving(redis_url, CarefulProtocol) as door:
        for name, (head, piece) in ENDLESS.items():
            sent, _ = pour(door, head, piece)
            # What lies in the buffers of both sockets was sent and never read.
            assert sent < 32 * 1024 * 1024, f"{name} was taken without end"
        assert door.send(completed()).status_code == 200


def test_a_head_that_is_as_large_as_it_may_be_is_taken(redis_url: str) -> None:
    with serving(redis_url, CarefulProtocol) as door:
        assert door.http.get("/healthz", headers={"x-filler": "a" * (MAX_HEAD_BYTES - 1_000)}).status_code == 200
        assert door.http.post(PATH, content=b"x" * 200_000, headers={"x-katalo-signature": "0" * 64}).status_code == 401


@pytest.mark.parametrize("begun", [b"", b"GET /healthz HTTP/1.1\r\nhost: ", b"\r\n"])
def test_a_head_that_does_not_come_ends_its_connection(begun: bytes, redis_url: str) -> None:
    with serving(redis_url, Impatient) as door, socket.create_connection(door.address) as caller:
        caller.settimeout(60)
        caller.sendall(begun)
        seen = b""
        while some := caller.recv(4_096):
            seen += some
        assert seen.endswith(b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        assert door.http.get("/healthz").status_code == 200


def test_a_second_head_that_does_not_come_ends_its_connection_too(redis_url: str) -> None:
    with serving(redis_url, Impatient) as door, socket.create_connection(door.address) as caller:
        caller.settimeout(60)
        caller.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert caller.recv(4_096).startswith(b"HTTP/1.1 200")
        caller.sendall(b"GET /he")
        assert caller.recv(4_096).startswith(b"HTTP/1.1 408")


def test_a_slow_body_is_not_a_slow_head(redis_url: str) -> None:
    """The routes have patience of their own."""
    with serving(redis_url, Impatient) as door, socket.create_connection(door.address) as caller:
        caller.settimeout(60)
        caller.sendall(b"POST /webhooks/katalo HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{")
        caller.settimeout(3 * Impatient.head_s)
        with pytest.raises(TimeoutError):
            caller.recv(1)
        caller.settimeout(60)
        caller.sendall(b"}")
        assert caller.recv(4_096).startswith(b"HTTP/1.1 401")


def test_one_connection_too_many_is_answered_and_the_others_go_on(redis_url: str) -> None:
    with serving(redis_url, CarefulProtocol, most=4) as door, contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(socket.create_connection(door.address))
        assert door.http.get("/healthz").status_code == 503
        stack.close()
        while door.http.get("/healthz").status_code == 503:
            """Until the server has seen that they are gone."""
        assert door.send(completed()).status_code == 200
