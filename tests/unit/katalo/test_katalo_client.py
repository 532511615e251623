"""One call is one request, with exactly the bytes that were given, and ends in an answer or in one error of the tree."""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.katalo.client import MAX_ANSWER_BYTES, KataloClient
from worker.katalo.errors import KataloError, NotSent, OutcomeUnknown, RateLimited, UnexpectedStatus
from worker.katalo.multipart import multipart_body

KEY = "kat_live_abc.5ecretsecret"
Call = Callable[[KataloClient], Awaitable[Any]]

CREATE: Call = lambda door: door.create_generation(b'{"a": 1}', "generation-1")
READ: Call = lambda door: door.generation("job_1")
CALLS: list[tuple[Call, str, str, str | None]] = [
    (CREATE, "POST", "/api/v1/generations", "generation-1"),
    (lambda door: door.regenerate("job_1", b"{}", "re-1"), "POST", "/api/v1/generations/job_1/regenerate", "re-1"),
    (READ, "GET", "/api/v1/generations/job_1", None),
    (lambda door: door.create_source_from_url(b"{}", "source-1"), "POST", "/api/v1/source-assets", "source-1"),
    (
        lambda door: door.upload_source(b"jpeg", "a.jpg", "image/jpeg", "source-2"),
        "POST",
        "/api/v1/source-assets",
        "source-2",
    ),
    (lambda door: door.ingest("ing_1"), "GET", "/api/v1/source-assets/ing_1", None),
    (lambda door: door.usage(), "GET", "/api/v1/usage/summary", None),
    (lambda door: door.billing(), "GET", "/api/v1/billing/events?limit=100", None),
    (lambda door: door.billing("c/1 &", limit=7), "GET", "/api/v1/billing/events?limit=7&cursor=c%2F1%20%26", None),
]
GOOD = {"job_id": "job_1", "ingest_id": "ing_1", "status": "queued"}


def called(call: Call, answer: Callable[[httpx.Request], httpx.Response]) -> Any:
    """Return what `call` gives when a fake API answers."""

    async def run() -> Any:
        async with KataloClient(
            base_url="https://api.example.com", api_key=KEY, transport=httpx.MockTransport(answer)
        ) as door:
            return await call(door)

    return asyncio.run(run())


def answering(call: Call, status: int = 200, **content: Any) -> Any:
    return called(call, lambda _: httpx.Response(status, **content))


async def over_http(address: str, *calls: Call, **limits: float) -> list[Any]:
    """Return the answers and errors of `calls`, one after another over one client."""
    found: list[Any] = []
    async with KataloClient(base_url=address, api_key=KEY, **limits) as door:
        for call in calls:
            try:
                found.append(await call(door))
            except KataloError as error:
                found.append(error)
    return found


@pytest.mark.parametrize(("call", "method", "target", "key"), CALLS)
def test_every_route_is_called_as_the_contract_says(call: Call, method: str, target: str, key: str | None) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=GOOD)

    called(call, answer)
    [request] = seen
    assert (request.method, request.url.raw_path.decode()) == (method, target)
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers.get("idempotency-key") == key


@pytest.mark.parametrize("status", [200, 201, 202, 203])
def test_any_2xx_with_an_id_is_a_success(status: int) -> None:
    assert answering(CREATE, status, json=GOOD).job_id == "job_1"


@pytest.mark.parametrize("wrapper", ["data", "job", "generation"])
def test_an_answer_may_be_wrapped(wrapper: str) -> None:
    assert answering(CREATE, json={wrapper: GOOD}).job_id == "job_1"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'"job_1"',
        b"{",
        b"<html>",
        b"\xff",
        b'{"job_id": null}',
        b'{"job_id": ""}',
        b"[" * 100_000,
    ],
)
@pytest.mark.parametrize("call", [call for call, method, *_ in CALLS if method == "POST"])
def test_a_write_that_succeeded_without_an_id_has_an_unknown_outcome(call: Call, content: bytes) -> None:
    with pytest.raises(OutcomeUnknown) as caught:
        answering(call, content=content)
    assert caught.value.retryable
    assert not caught.value.refused


def test_money_comes_exactly_as_it_was_written() -> None:
    page = answering(
        CALLS[7][0], content=b'{"events": [{"event_id": "e", "amount_usd": 0.1000000000000000055511151231}]}'
    )
    assert page.events[0].amount_usd == Decimal("0.1000000000000000055511151231")
    assert answering(CALLS[7][0], json=[{"event_id": "e"}]).events[0].event_id == "e"
    absurd = answering(CALLS[7][0], content=b'{"events": [{"amount_usd": 1e9999999999999999999}]}')
    assert absurd.events[0].amount_usd is None


def test_an_answer_that_is_too_long_is_not_read() -> None:
    with pytest.raises(OutcomeUnknown, match="exceeds"):
        answering(CREATE, content=b" " * (MAX_ANSWER_BYTES + 1))
    with pytest.raises(OutcomeUnknown, match="exceeds"):
        answering(CREATE, content=gzip.compress(b" " * 4 * MAX_ANSWER_BYTES), headers={"content-encoding": "gzip"})
    with pytest.raises(RateLimited):
        answering(CREATE, 429, content=b" " * (MAX_ANSWER_BYTES + 1))


def test_an_answer_that_can_not_be_unpacked_is_an_unknown_outcome() -> None:
    with pytest.raises(OutcomeUnknown):
        answering(CREATE, stream=httpx.ByteStream(b"not gzip"), headers={"content-encoding": "gzip"})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(status, headers={"location": "https://elsewhere.example.com/"})

    with pytest.raises(UnexpectedStatus):
        called(CREATE, answer)
    assert len(seen) == 1


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout])
def test_without_a_connection_nothing_was_sent(error: type[httpx.TransportError]) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise error("down")

    with pytest.raises(NotSent) as caught:
        called(CREATE, answer)
    assert caught.value.refused
    assert caught.value.retryable


@pytest.mark.parametrize(
    "error", [httpx.ReadTimeout, httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError, OSError]
)
def test_a_connection_that_was_there_leaves_the_outcome_unknown(error: type[Exception]) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise error("lost")

    with pytest.raises(OutcomeUnknown):
        called(CREATE, answer)


def test_the_key_itself_never_reaches_a_message() -> None:
    with pytest.raises(KataloError) as caught:
        answering(CREATE, 401, text=f"the key {KEY} is unknown")
    assert "5ecret" not in str(caught.value)

    async def echoed() -> str:
        echo = httpx.MockTransport(lambda _: httpx.Response(401, text="no key: pa55word-of-another-form"))
        async with KataloClient(base_url="http://a", api_key="pa55word-of-another-form", transport=echo) as door:
            with pytest.raises(KataloError) as caught:
                await door.usage()
        return str(caught.value)

    assert "pa55word" not in asyncio.run(echoed())


@pytest.mark.parametrize("key", ["schlüssel-5ecret", "a\nb-5ecret", "a\x00b-5ecret"])
def test_a_key_that_fits_no_header_is_named_and_not_shown(key: str) -> None:
    with pytest.raises(ValueError, match="KATALO_API_KEY") as caught:
        KataloClient(base_url="http://a", api_key=key)
    assert "5ecret" not in str(caught.value)


def test_the_line_end_of_a_key_file_does_no_harm() -> None:
    seen: list[str] = []

    async def run() -> None:
        def answer(request: httpx.Request) -> httpx.Response:
            seen.append(request.headers["authorization"])
            return httpx.Response(200, json={})

        async with KataloClient(base_url="http://a", api_key=f"{KEY}\n", transport=httpx.MockTransport(answer)) as door:
            await door.usage()

    asyncio.run(run())
    assert seen == [f"Bearer {KEY}"]


@pytest.mark.parametrize("path_id", ["", " ", ".", "..", "\ud800", "x" * 100_000])
def test_an_id_that_can_not_stand_in_a_path_is_not_sent(path_id: str) -> None:
    with pytest.raises(NotSent):
        answering(lambda door: door.generation(path_id), json=GOOD)
    with pytest.raises(NotSent):
        answering(lambda door: door.regenerate(path_id, b"{}", "k"), json=GOOD)


def test_nothing_is_opened_by_the_import_or_the_constructor() -> None:
    script = (
        "import socket\n"
        "def no(*a, **k): raise SystemExit('a socket was made')\n"
        "socket.socket.__init__ = no\n"
        "from worker.katalo.client import KataloClient\n"
        "KataloClient(base_url='http://127.0.0.1:1', api_key='k')\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@given(
    st.sampled_from(CALLS),
    st.integers(200, 599),
    st.binary()
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["job_id", "status", "outputs", "error", "events", "data"]), inner)
        ),
        max_leaves=10,
    ).map(lambda value: json.dumps(value).encode()),
    st.dictionaries(
        st.sampled_from(["location", "retry-after", "content-encoding", "content-type"]),
        st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
        | st.sampled_from(["gzip", "http://["]),
    ),
)
@settings(deadline=None)
def test_no_answer_gets_out_of_the_tree(
    route: tuple[Call, str, str, str | None], status: int, body: bytes, headers: dict[str, str]
) -> None:
    try:
        answering(route[0], status, stream=httpx.ByteStream(body), headers=headers)
    except KataloError as error:
        str(error).encode()  # noqa: PT017 - any error of the tree will do


# Over real HTTP on loopback, with the transport that is used in production.


def test_a_connection_lost_after_sending_leaves_the_outcome_unknown_and_is_not_sent_again(serve, reset) -> None:
    """The transport calls it a connect timeout; were it believed, the job would be created a second time."""

    async def run() -> None:
        for ending in (b"", reset):
            for call in (CREATE, READ):
                async with serve(ending) as seen:
                    [error] = await over_http(seen.address, call)
                assert isinstance(error, OutcomeUnknown), ending
                assert not error.refused
                assert len(seen.requests) == 1

    asyncio.run(run())


def test_a_kept_connection_that_was_closed_meanwhile_is_no_reason_to_send_twice(serve, answer, reset) -> None:
    async def run() -> None:
        async with serve(answer(200, json.dumps(GOOD).encode()), reset) as seen:
            first, second = await over_http(seen.address, READ, READ)
        assert first.job_id == "job_1"
        assert isinstance(second, OutcomeUnknown)
        assert len(seen.requests) == 2

    asyncio.run(run())


def test_connections_are_kept_and_cookies_are_not(serve, answer) -> None:
    async def run() -> None:
        async with serve(answer(200, json.dumps(GOOD).encode(), "Set-Cookie: a=b; Path=/")) as seen:
            await over_http(seen.address, READ, READ, CREATE)
        assert seen.connections == 1
        assert len(seen.requests) == 3
        assert all("cookie" not in headers for _, headers, _ in seen.requests)

    asyncio.run(run())


@pytest.mark.parametrize(
    "raw",
    [
        b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"job_id": "job_1"}',
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"job',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}",
        b"HTTP/1.1 twohundred OK\r\n\r\n",
        b"HELLO\r\n\r\n",
        b"\x00\x01\x02",
        b"HTTP/1.1 200 OK\r\nContent-Length: close\r\n\r\n",
    ],
)
def test_a_broken_answer_leaves_the_outcome_unknown(serve, raw: bytes) -> None:
    async def run() -> None:
        async with serve(raw) as seen:
            [error] = await over_http(seen.address, CREATE)
        assert isinstance(error, OutcomeUnknown), error
        assert len(seen.requests) == 1

    asyncio.run(run())


def test_a_refusal_stays_one_even_if_its_reason_breaks_off(serve) -> None:
    async def run() -> None:
        cut = b'HTTP/1.1 429 X\r\nRetry-After: 7\r\nContent-Length: 99\r\n\r\n{"error": {"mess'
        async with serve(cut) as seen:
            [error] = await over_http(seen.address, CREATE)
        assert isinstance(error, RateLimited)
        assert error.refused
        assert error.retry_after_s == 7

    asyncio.run(run())


def test_a_silent_server_is_left_at_the_deadline(serve, silence) -> None:
    async def run() -> None:
        async with serve(silence) as seen:
            error, upload = await over_http(seen.address, CREATE, CALLS[4][0], call_s=0.05, upload_s=0.05)
        assert isinstance(error, OutcomeUnknown)
        assert isinstance(upload, OutcomeUnknown)
        assert len(seen.requests) == 2

    asyncio.run(run())


def test_a_port_where_nobody_listens_and_a_name_that_is_none_were_not_sent_to(serve) -> None:
    async def run() -> None:
        async with serve(b"") as seen:
            pass
        for address in (seen.address, "http://nowhere.invalid", "http://[::1]:1"):
            [error] = await over_http(address, CREATE)
            assert isinstance(error, NotSent), address
            assert error.retryable

    asyncio.run(run())


def test_a_call_that_found_no_free_connection_was_not_sent(serve, silence) -> None:
    async def run() -> None:
        async with (
            serve(silence) as seen,
            KataloClient(base_url=seen.address, api_key=KEY, max_connections=1, connect_s=0.05, call_s=1) as door,
        ):
            errors = await asyncio.gather(CREATE(door), CREATE(door), return_exceptions=True)
        assert sorted(type(error).__name__ for error in errors) == ["NotSent", "OutcomeUnknown"]
        assert len(seen.requests) == 1

    asyncio.run(run())


def test_the_bytes_arrive_as_they_were_given(serve, answer) -> None:
    async def run() -> None:
        content = bytes(range(256)) * 12_000  # 3 MB
        body, content_type = multipart_body(content, "a.jpg", "image/jpeg")
        good = answer(202, json.dumps(GOOD).encode())
        async with serve(good) as seen:
            exact = b' {"b":1,\n"a":"\xc3\xa4"} '
            upload: Call = lambda door: door.upload_source(content, "a.jpg", "image/jpeg", "k1")
            await over_http(
                seen.address,
                upload,
                upload,
                lambda door: door.create_generation(exact, "k2"),
                lambda door: door.create_generation(b"", "k3"),
            )
        first, second, third, fourth = seen.requests
        assert first[2] == second[2] == body
        assert first[1]["content-type"] == content_type
        assert first[1]["content-length"] == str(len(body))
        assert "transfer-encoding" not in first[1]
        assert third[2] == exact
        assert fourth[2] == b""
        assert third[1]["authorization"] == f"Bearer {KEY}"
        assert third[1]["idempotency-key"] == "k2"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("path_id", "segment"),
    [
        ("job_1", "job_1"),
        ("a/../b", "a%2F..%2Fb"),
        ("a?b#c", "a%3Fb%23c"),
        ("50%", "50%25"),
        ("a%2Fb", "a%252Fb"),
        ("ä b", "%C3%A4%20b"),
        ("a+b", "a%2Bb"),
    ],
)
def test_an_opaque_id_is_one_segment_of_the_path_on_the_wire(serve, answer, path_id: str, segment: str) -> None:
    async def run() -> None:
        async with serve(answer(200, b"{}")) as seen:
            await over_http(seen.address, lambda door: door.generation(path_id))
        assert seen.requests[0][0] == f"GET /api/v1/generations/{segment}"

    asyncio.run(run())


# The multipart body alone.


@given(st.binary(max_size=200), st.text(), st.text())
def test_a_multipart_body_is_the_same_every_time_and_has_one_part(
    content: bytes, filename: str, media_type: str
) -> None:
    body, content_type = multipart_body(content, filename, media_type)
    assert (body, content_type) == multipart_body(content, filename, media_type)
    boundary = content_type.removeprefix("multipart/form-data; boundary=").encode()
    head, _, rest = body.partition(b"\r\n\r\n")
    assert head.count(b"\r\n") == 2
    assert head.count(b'"') == 4
    assert rest == content + b"\r\n--" + boundary + b"--\r\n"
    assert multipart_body(content + b"x", filename, media_type)[1] != content_type


def test_a_multipart_body_is_written_as_the_standard_says() -> None:
    body, content_type = multipart_body(b"jpeg", 'front "door"\r\n.jpg', "image/jpeg")
    boundary = content_type.partition("boundary=")[2]
    assert body.decode() == (
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="file"; filename="front _door___.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
        f"jpeg\r\n--{boundary}--\r\n"
    )
    assert b"Content-Type: application/octet-stream" in multipart_body(b"", "a", "x\r\nEvil: 1")[0]
