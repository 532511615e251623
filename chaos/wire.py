"""Just enough of HTTP/1.1 to stand between a client and a server: whole messages, byte for byte as they came."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

#: Closing with this set breaks a connection instead of ending it.
_AT_ONCE: Final = struct.pack("ii", 1, 0)
#: The longest head, and how much is read at once.
_HEAD_BYTES: Final = 65_536
_END: Final = b"\r\n\r\n"


#: Serves one connection to its end.
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


class Broken(Exception):  # noqa: N818 - what happened to the connection
    """The other side ended in the middle of a message; `rest` is what of it came."""

    def __init__(self, rest: bytes = b"") -> None:
        """Keep what came."""
        super().__init__("the connection broke in the middle of a message")
        self.rest = rest


@dataclass(slots=True, kw_only=True)
class Message:
    """A request or an answer: its first line, its headers by lower-case name, its body; `raw` is all as it came."""

    start: str
    headers: dict[str, str]
    body: bytes
    raw: bytes = field(repr=False)

    @property
    def method(self) -> str:
        """A request's method."""
        return self.start.partition(" ")[0]

    @property
    def target(self) -> str:
        """A request's path and query."""
        return self.start.split(" ")[1]

    @property
    def status(self) -> int:
        """An answer's status."""
        return int(self.start.split(" ")[1])

    @property
    def ends_connection(self) -> bool:
        """Whether nothing follows it on its connection."""
        asked = self.headers.get("connection", "").lower()
        is_old = "HTTP/1.0" in self.start and asked != "keep-alive"
        return asked == "close" or is_old or (self.start.startswith("HTTP/") and self._lasts_to_the_end)

    @property
    def _lasts_to_the_end(self) -> bool:
        return bool(self.body) and not {"content-length", "transfer-encoding"} & self.headers.keys()


async def read_message(reader: asyncio.StreamReader, *, answers: str = "") -> Message | None:
    """Return the next message, or None when there is none any more; `answers`: the method that it is the answer to.

    Raises Broken.
    """
    try:
        head = await reader.readuntil(_END)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise Broken(error.partial) from error
        return None
    except (OSError, asyncio.LimitOverrunError) as error:
        raise Broken from error
    start, *lines = head.decode("latin-1").split("\r\n")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)
    }
    try:
        body, framing = await _body(reader, start, headers, answers)
    except asyncio.IncompleteReadError as error:
        raise Broken(head + error.partial) from error
    except OSError as error:
        raise Broken(head) from error
    return Message(start=start, headers=headers, body=body, raw=head + framing)


async def _body(reader: asyncio.StreamReader, start: str, headers: dict[str, str], answers: str) -> tuple[bytes, bytes]:
    """Return a body, and the bytes that it travelled as."""
    is_answer = start.startswith("HTTP/")
    if is_answer and (answers == "HEAD" or start.split(" ")[1] in {"204", "304"}):
        return b"", b""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body, framing = b"", b""
        while True:
            line = await reader.readuntil(b"\r\n")
            chunk = await reader.readexactly(int(line.split(b";")[0], 16) + 2)
            framing += line + chunk
            body += chunk[:-2]
            if len(chunk) == 2:  # noqa: PLR2004 - the empty chunk is the last
                return body, framing
    if "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    else:
        body = await reader.read() if is_answer else b""
    return body, body


def answer(status: int, media_type: str, body: bytes = b"", **headers: str) -> bytes:
    """Return an answer as it travels."""
    lines = [f"HTTP/1.1 {status} chaos", f"Content-Type: {media_type}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + _END + body


def break_off(writer: asyncio.StreamWriter) -> None:
    """End a connection as a cut cable does."""
    found = writer.get_extra_info("socket")
    if found is not None:
        with contextlib.suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    writer.transport.abort()


async def serve(handler: Handler, *, port: int = 0) -> asyncio.Server:
    """Listen on a port of 127.0.0.1; each connection is a task that is held until it has ended."""
    running: set[asyncio.Task[None]] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # asyncio itself holds such a task by its connection only, which may be collected under it.
        task = asyncio.get_running_loop().create_task(handler(reader, writer))
        running.add(task)
        task.add_done_callback(running.discard)

    return await asyncio.start_server(begin, "127.0.0.1", port, limit=_HEAD_BYTES, backlog=512)


def port_of(server: asyncio.Server) -> int:
    """Return the port that a server listens on."""
    return int(server.sockets[0].getsockname()[1])


class Server(ABC):
    """A server on a port of its own; whoever inherits it says in `_serve` what becomes of a connection."""

    port = 0
    _server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen."""
        self._server = await serve(self._serve)
        self.port = port_of(self._server)

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    @abstractmethod
    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None: ...


class Answering(Server):
    """One that answers each request by itself: `_answer` returns the whole answer."""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await read_message(reader)) is not None:
                writer.write(self._answer(request))
                await writer.drain()
        except (Broken, OSError):
            return
        finally:
            writer.close()

    @abstractmethod
    def _answer(self, request: Message) -> bytes: ...
