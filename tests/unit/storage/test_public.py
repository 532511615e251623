"""Whatever an address looks like, what is called is on the public internet: the SSRF suite of downloads and sinks."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from worker.storage.public import Refused, cause_of, check_address, is_public, public_socket
from worker.storage.web import Interrupted, Web

#: Other ways to write 127.0.0.1, and names of it; each was read as something else by some client.
DISGUISES = (
    "１２７.0.0.1",  # full-width digits
    "127。0。0。1",  # ideographic full stops
    "⑫7.0.0.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "0x7f.1",
    "127.1",
    "127.0.0.1.",
    "0",
    "0.0.0.0",
    "localhost",
    "[::]",
    "[::1]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "someone@127.0.0.1",
    "8.8.8.8\\@127.0.0.1",
    "8.8.8.8:80@127.0.0.1",
)


class Names(AbstractResolver):
    """A resolver whose answers the test gives, one after another; the last one stays."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return [
            ResolveResult(hostname=host, host=one, port=port, family=socket.AF_INET, proto=0, flags=0) for one in answer
        ]

    async def close(self) -> None:
        """Nothing is open."""


def listening(story: Callable[[int, list[str]], Awaitable[None]]) -> list[str]:
    """Run a story beside a server on loopback; return who connected to it."""
    seen: list[str] = []

    async def live() -> None:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append("somebody")
            writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        async with server:
            await story(server.sockets[0].getsockname()[1], seen)

    asyncio.run(live())
    return seen


def test_no_way_of_writing_loopback_reaches_it() -> None:
    async def story(port: int, seen: list[str]) -> None:
        reader = Web(allow_private_hosts=False, deadline_s=20)
        for host in DISGUISES:
            with pytest.raises(Refused):
                await reader.get(f"https://{host}:{port}/", longest_bytes=100)
            assert seen == [], host
        await reader.aclose()

    assert listening(story) == []


def test_a_name_that_becomes_private_after_it_was_public_is_refused() -> None:
    async def story(port: int, seen: list[str]) -> None:
        names = Names(["8.8.8.8", "127.0.0.1"], ["127.0.0.1"])
        reader = Web(allow_private_hosts=False, deadline_s=20, resolver=names)
        for _ in range(2):
            with pytest.raises(Refused, match=r"rebinding\.example has a private address"):
                await reader.get(f"https://rebinding.example:{port}/", longest_bytes=100)
        assert names.asked == 2
        await reader.aclose()

    assert listening(story) == []


def test_a_way_past_the_resolver_ends_at_the_socket() -> None:
    async def story(port: int, seen: list[str]) -> None:
        connector = aiohttp.TCPConnector(resolver=Names(["127.0.0.1"]), socket_factory=public_socket)
        async with aiohttp.ClientSession(connector=connector) as session:
            for host in ("rebound.example", "127.0.0.1"):
                with pytest.raises(Exception, match="private") as caught:
                    await session.get(f"http://{host}:{port}/")
                assert cause_of(caught.value) is not None

    assert listening(story) == []


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(port: int, seen: list[str]) -> None:
        for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        reader = Web(allow_private_hosts=False, deadline_s=20, resolver=Names(["127.0.0.2"]))
        with pytest.raises(Refused):
            await reader.get("https://shop.example/a.jpg", longest_bytes=100)
        await reader.aclose()

    assert listening(story) == []


def test_a_name_without_an_address_is_a_passing_trouble() -> None:
    class Nobody(Names):
        async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list:
            raise OSError("no address")

    async def live() -> None:
        reader = Web(allow_private_hosts=False, deadline_s=20, resolver=Nobody())
        with pytest.raises(Interrupted):
            await reader.get("https://nobody.example/", longest_bytes=100)
        await reader.aclose()

    asyncio.run(live())


@pytest.mark.parametrize(
    "url",
    ["", "https://", "https:///a.jpg", "ftp://a.example/", "https://[::1", "https://a:b:c/", "//a.example/b", "a"],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        check_address(url, allow_private=False)


@pytest.mark.parametrize(
    "address",
    ["::7f00:1", "fec0::1", "fd00:ec2::254", "64:ff9b:1::a00:1", "2001:0:7f00:1::1", "100::1", "5f00::1", "4000::1",
     "ff02::1", "168.63.129.16", "100.100.100.200", "192.0.0.192", "240.0.0.1", "255.255.255.255",
     "64:ff9b::a9fe:a9fe"],
)  # fmt: skip
def test_rare_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)
