"""A proxy that breaks calls on purpose: real HTTP between the fleet and a server, spoilt as its weather says.

What it does to a call it decides by its own dice, and counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter

from chaos.weather import FAIR, WITHOUT_EFFECT, Mishap, Weather, said
from chaos.wire import Broken, Message, Server, answer, break_off, read_message


class Proxy(Server):
    """Stands in front of one server; `weather` may be changed from any thread at any time."""

    def __init__(self, name: str, target_port: int, *, seed: int) -> None:
        """`name`: for counts; the dice are the proxy's own, so what happens elsewhere changes nothing here."""
        self.name = name
        self.weather: Weather = FAIR
        self.target_port = target_port
        self.counts: Counter[str] = Counter()
        self._dice = random.Random(f"{seed}:proxy:{name}")  # noqa: S311 - chaos, no secret

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ahead = _Ahead(self.target_port)
        try:
            while (request := await read_message(reader)) is not None:
                if not await self._pass_on(request, ahead, writer):
                    break_off(writer)
                    return
                await writer.drain()
                if ahead.said_goodbye:
                    return
        except Broken as broken:
            # The server broke off: the client gets as much as came.
            if broken.rest.startswith(b"HTTP/"):
                await _flush(writer, broken.rest)
            break_off(writer)
        except OSError:
            # The server is not there, or the client has gone: neither learns more than that.
            break_off(writer)
        finally:
            writer.close()
            ahead.close()

    async def _pass_on(self, request: Message, ahead: _Ahead, writer: asyncio.StreamWriter) -> bool:
        """Do with a request what the weather says; False: the connection is to be broken. Raises Broken, OSError."""
        if self.weather.down:
            self.counts["down"] += 1
            return False
        mishap = self.weather.draw(self._dice)
        if mishap is not None:
            self.counts[mishap.value] += 1
        if mishap in WITHOUT_EFFECT:
            writer.write(answer(*said(mishap)))
            return True
        if mishap is Mishap.CUT_REQUEST:
            await ahead.send_half(request)
            return False
        found = await ahead.ask(request)
        return found is not None and await self._give(found, mishap, writer)

    async def _give(self, found: Message, mishap: Mishap | None, writer: asyncio.StreamWriter) -> bool:
        """Hand an answer on, spoilt; False: the connection is to be broken."""
        match mishap:
            case Mishap.LOST_ANSWER:
                return False
            case Mishap.CUT_ANSWER:
                await _flush(writer, found.raw[: len(found.raw) - max(1, len(found.body) // 2)])
                return False
            case Mishap.SLOW:
                await asyncio.sleep(self._dice.uniform(*self.weather.slow_s))
                writer.write(found.raw)
            case Mishap.CUT_JSON:
                media_type = found.headers.get("content-type", "application/json")
                writer.write(answer(found.status, media_type, found.body[: len(found.body) // 2]))
            case Mishap.LATE_500 | Mishap.WRONG_JSON:
                writer.write(answer(*said(mishap)))
            case _:
                writer.write(found.raw)
        return True


class _Ahead:
    """The connection to the server, kept open from one request to the next."""

    def __init__(self, port: int) -> None:
        """Connect when it is needed."""
        self._port = port
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        #: The server ended the connection with its last answer, so the client's ends too.
        self.said_goodbye = False

    async def ask(self, request: Message) -> Message | None:
        """Return the answer to a request; None: the server gave none. Raises Broken, OSError."""
        was_open = self._open is not None
        reader, writer = await self._connection()
        writer.write(request.raw)
        found = await read_message(reader, answers=request.method)
        if found is None and was_open:
            # The server closed a connection that nobody used for a while: once more on a new one.
            self.close()
            return await self.ask(request)
        if found is not None and found.ends_connection:
            self.said_goodbye = True
            self.close()
        return found

    async def send_half(self, request: Message) -> None:
        """Send the first half of a request and break off. Raises OSError."""
        _, writer = await self._connection()
        await _flush(writer, request.raw[: len(request.raw) - max(1, len(request.body) // 2)])
        break_off(writer)
        self._open = None

    def close(self) -> None:
        """End the connection."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._open is None:
            self._open = await asyncio.open_connection("127.0.0.1", self._port)
        return self._open


async def _flush(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Send, and let it arrive before the connection breaks."""
    with contextlib.suppress(OSError):
        writer.write(data)
        await writer.drain()
        await asyncio.sleep(0.01)
