"""The other side of an https sink: takes messages that are signed as Standard Webhooks has it, and keeps every copy."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections import defaultdict

from chaos.wire import Answering, Message, answer


class Receiver(Answering):
    """The server; `taken` has each id's bodies in the order in which they came."""

    def __init__(self, secret: str) -> None:
        """`secret`: `whsec_` and base64."""
        self._secret = base64.b64decode(secret.removeprefix("whsec_"))
        self.taken: dict[str, list[bytes]] = defaultdict(list)
        self.forged = 0

    def _answer(self, request: Message) -> bytes:
        return answer(204 if self._take(request) else 401, "text/plain")

    def _take(self, request: Message) -> bool:
        message_id = request.headers.get("webhook-id", "")
        signed = f"{message_id}.{request.headers.get('webhook-timestamp', '')}.".encode() + request.body
        expected = "v1," + base64.b64encode(hmac.new(self._secret, signed, hashlib.sha256).digest()).decode()
        if expected not in request.headers.get("webhook-signature", "").split():
            self.forged += 1
            return False
        self.taken[message_id].append(request.body)
        return True
