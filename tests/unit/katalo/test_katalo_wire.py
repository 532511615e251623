"""Over real HTTP on loopback, with the transport of production: one call is one request, whatever comes back."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.unit.katalo.calls import CALLS, CREATE, GOOD, KEY, READ, over_http
from worker.katalo.client import KataloClient
from worker.katalo.errors import NotSent, OutcomeUnknown, RateLimited
from worker.katalo.multipart import multipart_body


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
        b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 99\r\n\r\n{"job_id": "job_1"}',
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
        cut = b'HTTP/1.1 429 X\r\nConnection: close\r\nRetry-After: 7\r\nContent-Length: 99\r\n\r\n{"error": {"mess'
        async with serve(cut) as seen:
            [error] = await over_http(seen.address, CREATE)
        assert isinstance(error, RateLimited)
        assert error.refused
        assert error.retry_after_s == 7

    asyncio.run(run())


def test_a_silent_server_is_left_at_the_deadline(serve, silence) -> None:
    async def run() -> None:
        async with serve(silence) as seen:
            error, upload = await over_http(seen.address, CREATE, CALLS[4][0], call_s=0.5, upload_s=0.5)
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
            KataloClient(base_url=seen.address, api_key=KEY, max_connections=1, connect_s=0.5, call_s=2) as door,
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

            async def upload(door: KataloClient) -> object:
                return await door.upload_source(content, "a.jpg", "image/jpeg", "k1")

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
