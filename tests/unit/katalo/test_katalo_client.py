"""One call is one request with exactly the bytes that were given, and ends in an answer or an error of the tree."""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.katalo.calls import CALLS, CREATE, GOOD, KEY, Call
from worker.katalo.client import MAX_ANSWER_BYTES, KataloClient
from worker.katalo.errors import KataloError, NotSent, OutcomeUnknown, RateLimited, UnexpectedStatus
from worker.katalo.multipart import multipart_body


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
        str(error).encode()


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
