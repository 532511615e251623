"""A bare HTTP server on loopback that answers with any bytes, for what no well-behaved server would send."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

import pytest

#: In place of an answer: break the connection, or say nothing until the client goes away.
RESET = b"<reset>"
SILENCE = b"<silence>"


@dataclass(kw_only=True)
class Seen:
    """What the server was sent."""

    address: str
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    connections: int = 0


def http(status: int, body: bytes = b"", *headers: str) -> bytes:
    """Return a whole answer."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@asynccontextmanager
async def serving(*answers: bytes) -> AsyncIterator[Seen]:
    """Serve `answers` one by one, the last one for ever; connections are kept unless an answer says `close`."""
    seen = Seen(address="")

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
                body = await reader.readexactly(int(length[1])) if length else b""
                first, *lines = head.strip().split("\r\n")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                seen.requests.append((first.removesuffix(" HTTP/1.1"), headers, body))
                answer = answers[min(len(seen.requests), len(answers)) - 1]
                if answer == RESET:
                    writer.transport.abort()
                    return
                if answer == SILENCE:
                    await reader.read()
                    return
                writer.write(answer)
                await writer.drain()
                if b"Content-Length" not in answer or b"close" in answer:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    seen.address = "http://{}:{}".format(*server.sockets[0].getsockname())
    try:
        yield seen
    finally:
        server.close()


Serving = Callable[..., AbstractAsyncContextManager[Seen]]


@pytest.fixture
def serve() -> Serving:
    return serving


@pytest.fixture
def answer() -> Callable[..., bytes]:
    return http


@pytest.fixture
def reset() -> bytes:
    return RESET


@pytest.fixture
def silence() -> bytes:
    return SILENCE
