"""Downloads from addresses that others name: public ones only, unless private ones are allowed by settings.

Names are resolved by the connection itself, so the address that was checked is the one that is connected to. Redirects
are followed by hand, each hop checked like the first.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

CONNECT_S: Final = 10.0
MAX_REDIRECTS: Final = 3
_PIECE_BYTES: Final = 65_536
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
#: NAT64 carries IPv4 addresses, private ones too.
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


class Refused(Exception):  # noqa: N818 - named after what happened
    """The address is not one that may be downloaded from; the message says why."""


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


def is_public(address: str) -> bool:
    """Say whether an IP address is one of the public internet."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else (ip.ipv4_mapped or ip.sixtofour or ip)
    return ip.is_global and not ip.is_multicast


def check_address(url: str, *, allow_private: bool) -> None:
    """Hold a URL against what may be called. Raises Refused; a name's addresses are checked when it is resolved."""
    parts = urlsplit(url)
    if parts.scheme not in ({"http", "https"} if allow_private else {"https"}):
        message = f"{parts.scheme or 'no scheme'} is not allowed, only https"
        raise Refused(message)
    host = parts.hostname or ""
    try:
        literal = str(ipaddress.ip_address(host))
    except ValueError:
        return
    if not allow_private and not is_public(literal):
        message = f"{host} is a private address"
        raise Refused(message)


class PublicResolver(AbstractResolver):
    """Gives only public addresses of a name, and none at all when any of them is not public."""

    def __init__(self) -> None:
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of `host`. Raises Refused when one of them is not public, OSError when it has none."""
        found = await self._inner.resolve(host, port, family)
        if not all(is_public(entry["host"]) for entry in found):
            message = f"{host} has a private address"
            raise Refused(message)
        return found

    async def close(self) -> None:
        """Close what resolves."""
        await self._inner.close()


class Web:
    """Bounded GETs; one session a process, opened at first use."""

    def __init__(self, *, allow_private_hosts: bool, deadline_s: float) -> None:
        """`deadline_s` holds for one whole download, redirects included."""
        self._allow_private = allow_private_hosts
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
        except (Refused, TooLarge):
            raise
        except TimeoutError as error:
            message = f"it took longer than {self._deadline_s:.0f} s"
            raise Interrupted(message) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if isinstance(error.__cause__, Refused):
                raise error.__cause__ from error
            message = f"the connection failed ({type(error).__name__})"
            raise Interrupted(message) from error

    async def _follow(self, url: str, longest_bytes: int) -> Answer:
        for _ in range(MAX_REDIRECTS + 1):
            check_address(url, allow_private=self._allow_private)
            async with self._open().get(url, allow_redirects=False) as response:
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
            options: dict[str, Any] = {} if self._allow_private else {"resolver": PublicResolver()}
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=64, **options),
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
