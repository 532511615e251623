"""A proxy that breaks calls on purpose: real HTTP between the fleet and a server, spoilt as its weather says.

What it does to a call it decides by its own dice, and counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter

from chaos.wire import Broken, Message, answer, break_off, port_of, read_message, serve
from chaos.weather import FAIR, WITHOUT_EFFECT, Mishap, Weather, said

#: What a 429 of the proxy's asks for, in seconds of the API's time.
RETRY_AFTER_S = 5.0


class Proxy:
    """Stands in front of one server; `weather` may be changed from any thread at any time."""

    def __init__(self, name: str, target_port: int, *, seed: int) -> None:
        """`name`: for counts; the dice are the proxy's own, so what happens elsewhere changes nothing here."""
        self.name = name
        self.weather: Weather = FAIR
        self.target_port = target_port
        self.counts: Counter[str] = Counter()
        self.port = 0
        self._dice = random.Random(f"{seed}:proxy:{name}")  # noqa: S311 - chaos, no secret
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen."""
        self._server = await serve(self._serve)
        self.port = port_of(self._server)

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ahead: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        try:
            while (request := await read_message(reader)) is not None:
                if self.weather.down:
                    self.counts["down"] += 1
                    break_off(writer)
                    return
                mishap = self.weather.draw(self._dice)
                if mishap is not None:
                    self.counts[mishap.value] += 1
                if mishap in WITHOUT_EFFECT:
                    writer.write(answer(*said(mishap, retry_after_s=RETRY_AFTER_S)))
                    continue
                if ahead is None:
                    ahead = await asyncio.open_connection("127.0.0.1", self.target_port)
                if mishap is Mishap.CUT_REQUEST:
                    await _send_half(request, ahead[1])
                    break_off(writer)
                    return
                ahead[1].write(request.raw)
                found = await read_message(ahead[0], answers=request.method)
                if found is None:
                    # The server closed a connection that nobody used for a while: once more on a new one.
                    ahead[1].close()
                    ahead = await asyncio.open_connection("127.0.0.1", self.target_port)
                    ahead[1].write(request.raw)
                    found = await read_message(ahead[0], answers=request.method)
                if found is None or not await self._give(found, mishap, writer):
                    break_off(writer)
                    return
                if found.ends_connection:
                    ahead[1].close()
                    ahead = None
                    if "content-length" not in found.headers:
                        return
                await writer.drain()
        except Broken as broken:
            if broken.rest.startswith(b"HTTP/"):
                with contextlib.suppress(OSError):
                    writer.write(broken.rest)
                    await writer.drain()
            break_off(writer)
        except OSError:
            # The server is not there, or the client has gone: neither learns more than that.
            break_off(writer)
        finally:
            writer.close()
            if ahead is not None:
                ahead[1].close()

    async def _give(self, found: Message, mishap: Mishap | None, writer: asyncio.StreamWriter) -> bool:
        """Hand an answer on, spoilt; False: the connection is to be broken."""
        match mishap:
            case Mishap.LOST_ANSWER:
                return False
            case Mishap.CUT_ANSWER:
                writer.write(found.raw[: len(found.raw) - max(1, len(found.body) // 2)])
                with contextlib.suppress(OSError):
                    await writer.drain()
                # What was written has to arrive before the connection breaks.
                await asyncio.sleep(0.01)
                return False
            case Mishap.SLOW:
                await asyncio.sleep(self._dice.uniform(*self.weather.slow_s))
                writer.write(found.raw)
            case Mishap.CUT_JSON:
                media_type = found.headers.get("content-type", "application/json")
                writer.write(answer(found.status, found.body[: len(found.body) // 2], media_type))
            case Mishap.LATE_500 | Mishap.WRONG_JSON:
                writer.write(answer(*said(mishap, retry_after_s=RETRY_AFTER_S)))
            case _:
                writer.write(found.raw)
        return True


async def _send_half(request: Message, writer: asyncio.StreamWriter) -> None:
    writer.write(request.raw[: len(request.raw) - max(1, len(request.body) // 2)])
    with contextlib.suppress(OSError):
        await writer.drain()
    break_off(writer)
