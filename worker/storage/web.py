"""Downloads from addresses that others name: public ones only, unless private ones are allowed by settings.

`worker/storage/public.py` says which those are. Redirects are followed by hand, each hop checked like the first, and
no more is read than may be kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin

import aiohttp
from aiohttp.abc import AbstractResolver

from worker.storage.public import Refused, cause_of, check_address, connector

CONNECT_S: Final = 10.0
MAX_REDIRECTS: Final = 3
#: Downloads at once.
CALLS: Final = 64
_PIECE_BYTES: Final = 65_536
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class TooLarge(Exception):  # noqa: N818 - named after what was found
    """More bytes came than may be kept."""


class Interrupted(Exception):  # noqa: N818 - named after what happened
    """The download did not come to its end; the message says how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a download gave; `data` is empty when the status is not 2xx."""

    status: int
    data: bytes
    headers: Mapping[str, str]


class Web:
    """Bounded GETs; one session a process, opened at first use."""

    def __init__(
        self, *, allow_private_hosts: bool, deadline_s: float, resolver: AbstractResolver | None = None
    ) -> None:
        """`deadline_s` holds for one whole download, redirects included; `resolver` looks names up."""
        self._allow_private = allow_private_hosts
        self._resolver = resolver
        self._deadline_s = deadline_s
        self._session: aiohttp.ClientSession | None = None

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(self, url: str, *, longest_bytes: int) -> Answer:
        """Download `url`. Raises Refused, TooLarge or Interrupted."""
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._follow(url, longest_bytes)
        except (Refused, TooLarge, Interrupted):
            raise
        except aiohttp.InvalidURL as error:
            message = "it can't be read as an address"
            raise Refused(message) from error
        except TimeoutError as error:
            message = f"it took longer than {self._deadline_s:.0f} s"
            raise Interrupted(message) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if (refused := cause_of(error)) is not None:
                raise refused from error
            message = f"the connection failed ({type(error).__name__})"
            raise Interrupted(message) from error

    async def _follow(self, url: str, longest_bytes: int) -> Answer:
        for _ in range(MAX_REDIRECTS + 1):
            address = check_address(url, allow_private=self._allow_private)
            async with self._open().get(address, allow_redirects=False) as response:
                target = response.headers.get("Location")
                if response.status in _REDIRECTS and target:
                    url = urljoin(url, target)
                    continue
                if not response.ok:
                    return Answer(status=response.status, data=b"", headers=response.headers)
                return Answer(
                    status=response.status, data=await _read(response, longest_bytes), headers=response.headers
                )
        message = f"it redirects more than {MAX_REDIRECTS} times"
        raise Refused(message)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=connector(allow_private=self._allow_private, limit=CALLS, inner=self._resolver),
                # Nothing of one download may show in another.
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=self._deadline_s),
                auto_decompress=False,
                trust_env=False,
                headers={"Accept-Encoding": "identity", "User-Agent": "stagecrew"},
            )
        return self._session


async def _read(response: aiohttp.ClientResponse, longest_bytes: int) -> bytes:
    if (response.content_length or 0) > longest_bytes:
        raise TooLarge
    content = bytearray()
    async for piece in response.content.iter_chunked(_PIECE_BYTES):
        content += piece
        if len(content) > longest_bytes:
            raise TooLarge
    if response.content_length is not None and len(content) != response.content_length:
        message = f"{len(content)} of {response.content_length} bytes came"
        raise Interrupted(message)
    return bytes(content)
