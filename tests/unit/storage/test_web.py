"""Downloads over real HTTP: bounded, whole or not at all, from public addresses only."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path

import pytest
from aiohttp import web
from PIL import Image

from worker.storage.errors import DownloadFailed, NotAnImage, SourceError, UrlExpired, without_query
from worker.storage.outputs import OutputFetcher
from worker.storage.public import Refused, is_public
from worker.storage.sources import SourceReader
from worker.storage.web import Interrupted, TooLarge, Web


@cache
def picture() -> bytes:
    """Return a real JPEG."""
    out = io.BytesIO()
    Image.effect_noise((200, 100), 60).convert("RGB").save(out, "JPEG")
    return out.getvalue()


async def _cut(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": str(len(picture()))})
    await response.prepare(request)
    await response.write(picture()[:500])
    assert request.transport is not None
    request.transport.close()
    return response


async def _chunked_cut(request: web.Request) -> web.StreamResponse:
    """A body without a length, complete by HTTP and cut as a picture."""
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(picture()[:-200])
    return response


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(1000):
        await response.write(b"x" * 10_000)
    return response


def _answer(status: int, body: bytes = b"", **headers: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, body=body, headers=headers)

    return answer


Story = Callable[[str], Awaitable[None]]


def served(story: Story) -> None:
    """Run a story with a real server at the given address."""

    async def live() -> None:
        app = web.Application()
        app.router.add_get("/good.jpg", _answer(200, picture()))
        app.router.add_get("/page", _answer(200, b"<html>sign in</html>"))
        app.router.add_get("/cut.jpg", _cut)
        app.router.add_get("/chunked-cut.jpg", _chunked_cut)
        app.router.add_get("/endless", _endless)
        app.router.add_get("/to-good", _answer(302, Location="/good.jpg"))
        app.router.add_get("/loop", _answer(302, Location="/loop"))
        app.router.add_get("/to-file", _answer(302, Location="file:///etc/passwd"))
        for status in (400, 401, 403, 404, 410, 500, 503):
            app.router.add_get(f"/{status}", _answer(status))
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        try:
            await story(f"http://127.0.0.1:{port}")
        finally:
            await runner.cleanup()

    asyncio.run(live())


def test_an_output_comes_whole_with_its_facts() -> None:
    async def story(base: str) -> None:
        fetcher = OutputFetcher(allow_private_hosts=True, max_bytes=1_000_000)
        image = await fetcher.fetch(f"{base}/good.jpg?signature=secret")
        assert (image.data, image.width, image.height) == (picture(), 200, 100)
        await fetcher.aclose()

    served(story)


@pytest.mark.parametrize(
    ("path", "error"),
    [
        *((f"/{status}", UrlExpired) for status in (400, 401, 403, 404, 410)),
        ("/500", DownloadFailed),
        ("/503", DownloadFailed),
        ("/cut.jpg", DownloadFailed),
        ("/chunked-cut.jpg", DownloadFailed),
        ("/endless", DownloadFailed),
        ("/page", NotAnImage),
    ],
)
def test_an_output_that_does_not_come_whole_says_how_without_its_query(path: str, error: type[Exception]) -> None:
    async def story(base: str) -> None:
        fetcher = OutputFetcher(allow_private_hosts=True, max_bytes=100_000)
        with pytest.raises(error) as caught:
            await fetcher.fetch(f"{base}{path}?signature=secret")
        assert "secret" not in str(caught.value)
        await fetcher.aclose()

    served(story)


def test_redirects_are_followed_a_few_times_and_each_is_checked() -> None:
    async def story(base: str) -> None:
        reader = Web(allow_private_hosts=True, deadline_s=10)
        assert (await reader.get(f"{base}/to-good", longest_bytes=100_000)).data == picture()
        for path in ("/loop", "/to-file"):
            with pytest.raises(Refused):
                await reader.get(f"{base}{path}", longest_bytes=100_000)
        with pytest.raises(TooLarge):
            await reader.get(f"{base}/good.jpg", longest_bytes=100)
        await reader.aclose()

    served(story)


def test_private_addresses_are_refused_before_anything_is_sent() -> None:
    async def story(base: str) -> None:
        reader = Web(allow_private_hosts=False, deadline_s=10)
        port = base.rpartition(":")[2]
        for url in (
            f"{base}/good.jpg",
            f"https://127.0.0.1:{port}/good.jpg",
            f"https://localhost:{port}/good.jpg",
            "https://169.254.169.254/latest/meta-data",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
        ):
            with pytest.raises(Refused):
                await reader.get(url, longest_bytes=100)
        await reader.aclose()

    served(story)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1",
     "::1", "fe80::1%eth0", "fc00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "not an address"],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "64:ff9b::808:808"])
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    ("path", "said", "retryable"),
    [
        ("/page", "HTML page", False),
        ("/404", "answered 404", False),
        ("/503", "answered 503", True),
        ("/cut.jpg", "could not be read", True),
        ("/endless", "larger than", False),
        ("/to-file", "refused", False),
    ],
)
def test_a_source_that_can_not_be_used_says_why_and_what_to_do(path: str, said: str, *, retryable: bool) -> None:
    async def story(base: str) -> None:
        reader = SourceReader(allow_private_hosts=True, max_bytes=100_000)
        with pytest.raises(SourceError, match=said) as caught:
            await reader.read(f"{base}{path}?token=secret")
        assert caught.value.retryable is retryable
        assert "secret" not in str(caught.value)
        await reader.aclose()

    served(story)


def test_a_source_is_named_after_its_content_so_that_a_repeated_upload_is_the_same(tmp_path: Path) -> None:
    one, two = tmp_path / "one.jpg", tmp_path / "zwei ö.jpg"
    one.write_bytes(picture())
    two.write_bytes(picture())
    reader = SourceReader(allow_private_hosts=False, max_bytes=100_000)
    assert asyncio.run(reader.read(str(one))) == asyncio.run(reader.read(two.as_uri()))


def test_a_host_that_nobody_listens_on_is_a_passing_trouble() -> None:
    async def story() -> None:
        reader = Web(allow_private_hosts=True, deadline_s=10)
        with pytest.raises(Interrupted):
            await reader.get("http://127.0.0.1:1/", longest_bytes=10)
        await reader.aclose()

    asyncio.run(story())


def test_only_lasting_public_addresses_are_given_to_the_api_to_fetch() -> None:
    assert SourceReader.is_public_https("https://cdn.example.com/a.jpg?width=100")
    assert not SourceReader.is_public_https("https://b.s3.amazonaws.com/a.jpg?X-Amz-Signature=1&X-Amz-Expires=60")
    assert not SourceReader.is_public_https("http://cdn.example.com/a.jpg")
    assert not SourceReader.is_public_https("s3://bucket/a.jpg")


def test_what_is_shown_of_an_address_has_no_secrets() -> None:
    assert without_query("https://user:password@h.example:8443/a.jpg?sig=1#f") == "https://h.example:8443/a.jpg"
