"""HTTP as the gateway speaks it: whoever sends too much or too slowly before a body is sent away.

uvicorn's own parser keeps what comes until a head is whole, however long it is and however long it takes. Here a head
(and a body's trailers) has at most `MAX_HEAD_BYTES`, and a head comes within `HEAD_S`. Bodies have limits of their own,
by route (`worker/gateway/streaming.py`, `worker/gateway/webhooks.py`).
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: Of request line and headers together; webhooks and producers send some hundred.
MAX_HEAD_BYTES: Final = 64 * 1024
#: Until a head must be whole, in seconds, from its first byte, or from the connection's begin.
HEAD_S: Final = 20.0

_TOO_LARGE: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
_TOO_SLOW: Final = b"HTTP/1.1 408 Request Timeout\r\n"
_END: Final = b"connection: close\r\ncontent-length: 0\r\n\r\n"


class CarefulProtocol(HttpToolsProtocol):
    """uvicorn's protocol on httptools, with bounds on what comes before and after a body."""

    #: For tests, which don't wait as long.
    head_s = HEAD_S

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what uvicorn gives."""
        super().__init__(*args, **kwargs)
        #: Bytes since the parser last made something of them.
        self._unread = 0
        self._heads_awaited = True
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(self.head_s, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came, unless it is too much that is neither a head nor a body yet."""
        if self._heads_awaited and self._timer is None:
            self._timer = self.loop.call_later(self.head_s, self._too_slow)
        self._unread += len(data)
        super().data_received(data)
        if self._unread > MAX_HEAD_BYTES:
            self._send_away(_TOO_LARGE)

    def on_headers_complete(self) -> None:
        """Let the head be answered."""
        self._unread = 0
        self._heads_awaited = False
        self._stop_timer()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Take the end of a message."""
        self._unread = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next head, unless it is there already."""
        self._heads_awaited = not self.pipeline
        super().on_response_complete()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        self._send_away(_TOO_SLOW)

    def _send_away(self, status: bytes) -> None:
        if not self.transport.is_closing():
            # Into the middle of an answer nothing can be said.
            if self.cycle is None or self.cycle.response_complete:
                self.transport.write(status + _END)
            self.transport.close()
