"""The other side of an https sink: takes messages that are signed as Standard Webhooks has it, and keeps every copy."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections import defaultdict

from chaos.wire import Broken, Message, answer, port_of, read_message, serve


class Receiver:
    """The server; `taken` has each id's bodies in the order in which they came."""

    def __init__(self, secret: str) -> None:
        """`secret`: `whsec_` and base64."""
        self._secret = base64.b64decode(secret.removeprefix("whsec_"))
        self.taken: dict[str, list[bytes]] = defaultdict(list)
        self.forged = 0
        self.port = 0
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
        try:
            while (request := await read_message(reader)) is not None:
                writer.write(answer(204 if self._take(request) else 401, "text/plain"))
                await writer.drain()
        except (Broken, OSError):
            return
        finally:
            writer.close()

    def _take(self, request: Message) -> bool:
        message_id = request.headers.get("webhook-id", "")
        signed = f"{message_id}.{request.headers.get('webhook-timestamp', '')}.".encode() + request.body
        expected = "v1," + base64.b64encode(hmac.new(self._secret, signed, hashlib.sha256).digest()).decode()
        if expected not in request.headers.get("webhook-signature", "").split():
            self.forged += 1
            return False
        self.taken[message_id].append(request.body)
        return True
