"""Which addresses of others may be called: those of the public internet, however they are written.

Guarantees, unless private hosts are allowed by settings: only https; an address is judged as the client that connects
reads it (a host in full-width digits is 127.0.0.1 to it); a name is good only when every address that it has is
public; and the address is judged once more when the socket is made, so that no other way of getting there is left:
not a name that changes its address in between, nor a way past the resolver. Proxies of the environment are not used.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any, Final, TypeAlias

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

#: What IPv6 has given out to the public internet; everything else is of no use, or of a use that is not public.
_GLOBAL_IPV6: Final = ipaddress.ip_network("2000::/3")
#: NAT64 carries IPv4 addresses, private ones too.
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
#: Global to some releases of Python, or by their numbers, and answered by machinery of a network or a cloud:
#: Azure's 168.63.129.16, Oracle's 192.0.0.192, relays of 6to4.
_NEVER: Final = tuple(map(ipaddress.ip_network, ("168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24", "3fff::/20")))

#: What asyncio tells of an address: family, type, protocol, name, and the socket's address with the host first.
AddressInfo: TypeAlias = "tuple[int, int, int, str, tuple[Any, ...]]"


class Refused(Exception):  # noqa: N818 - named after what happened
    """The address is not one that may be called; the message says why."""


def is_public(address: str) -> bool:
    """Say whether an IP address is one of the public internet."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.teredo is not None or not (ip in _GLOBAL_IPV6 or ip in _NAT64 or ip.ipv4_mapped):
            return False
        ip = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else (ip.ipv4_mapped or ip.sixtofour or ip)
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _NEVER)


def check_address(url: str, *, allow_private: bool) -> URL:
    """Return a URL as it will be called. Raises Refused; a name's addresses are checked when it is resolved."""
    try:
        read = URL(url)
        scheme, host, _ = read.scheme, read.host or "", read.port
    except ValueError:
        message = "it can't be read as an address"
        raise Refused(message) from None
    if scheme not in ({"http", "https"} if allow_private else {"https"}):
        message = f"{scheme or 'no scheme'} is not allowed, only https"
        raise Refused(message)
    if not host:
        message = "it names no host"
        raise Refused(message)
    if not allow_private and _is_literal(host) and not is_public(host):
        message = f"{host} is a private address"
        raise Refused(message)
    return read


class PublicResolver(AbstractResolver):
    """Gives only public addresses of a name, and none at all when any of them is not public."""

    def __init__(self, inner: AbstractResolver | None = None) -> None:
        """`inner` looks names up; the system's resolver unless given."""
        self._inner = inner or ThreadedResolver()

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


def public_socket(info: AddressInfo) -> socket.socket:
    """Return a socket for an address that is about to be connected to. Raises Refused for one that is not public."""
    family, kind, protocol, _, address = info
    if not is_public(str(address[0])):
        message = f"{address[0]} is a private address"
        raise Refused(message)
    return socket.socket(family, kind, protocol)


def connector(*, allow_private: bool, limit: int, inner: AbstractResolver | None = None) -> aiohttp.TCPConnector:
    """Return a pool of connections to public addresses, or to any; `inner` looks names up."""
    if allow_private:
        return aiohttp.TCPConnector(limit=limit, resolver=inner)
    return aiohttp.TCPConnector(limit=limit, resolver=PublicResolver(inner), socket_factory=public_socket)


def cause_of(error: BaseException) -> Refused | None:
    """Return the refusal that a failed call comes from; the client wraps it."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, Refused):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
