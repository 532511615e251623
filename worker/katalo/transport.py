"""httpx over aiohttp: a connection pool that sends every request once, and the truth about what was sent.

Two habits of the parts are corrected here. aiohttp repeats a read by itself when a kept connection turns out to be
closed: that would be a call without a grant. And httpx-aiohttp reports a connection that was lost *after* sending as
`ConnectTimeout`: taken at its word, a job that may exist would count as never asked for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

#: Idle connections are closed after this long, before a server would: seconds.
KEEPALIVE_S: Final = 4.0
#: Bodies are sent in pieces of this size, so that a large one doesn't hold the event loop.
PIECE_BYTES: Final = 64 * 1024

#: httpx's own words for "no request left", which hold unless aiohttp is the one who said it.
_NO_CONNECTION: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
#: aiohttp's: not resolved, not connected, no TLS, no free connection, no such scheme. Raised before any byte is sent.
_NO_CONNECTION_AIOHTTP: Final = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
)


def pooled_transport(max_connections: int) -> httpx.AsyncBaseTransport:
    """Return a transport with a pool of its own; it opens nothing before its first request."""
    limits = httpx.Limits(max_connections=max_connections, keepalive_expiry=KEEPALIVE_S)
    return _SingleAttemptTransport(limits=limits)


def was_never_sent(error: Exception) -> bool:
    """Say whether it is certain that no byte of the request left; every doubt is a no."""
    if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL):
        return True
    if isinstance(error.__cause__, aiohttp.ClientError):
        return isinstance(error.__cause__, _NO_CONNECTION_AIOHTTP)
    return isinstance(error, _NO_CONNECTION)


def in_pieces(body: bytes) -> bytes | AsyncIterator[bytes]:
    """Return `body` as it is, or piece by piece when it is large."""
    return body if len(body) <= PIECE_BYTES else _pieces(body)


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), PIECE_BYTES):
        yield body[start : start + PIECE_BYTES]


class _SingleAttemptTransport(AiohttpTransport):
    def get_client(self) -> aiohttp.ClientSession:
        session = super().get_client()
        # There is no public switch; the tests count what a server sees.
        session._retry_connection = False  # noqa: SLF001
        # Nothing of one call may show in another.
        session._cookie_jar = aiohttp.DummyCookieJar()  # noqa: SLF001
        return session
