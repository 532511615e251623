"""Whatever is sent to the gateway, it answers as it is documented to, and keeps serving."""

from __future__ import annotations

import json
import socket
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.conftest import json_values, tried
from tests.unit.gateway.conftest import SECRET, Door, Open, gateway
from worker.katalo.signature import sign

__all__ = ["gateway"]
TOKEN = "a-token-of-the-tests-0123456789"
FIELDS = ("event_type", "job_id", "source_asset_id", "reference", "outputs", "failure", "metadata", "status")


@pytest.fixture
def door(gateway: Open) -> Door:
    return gateway(STAGECREW_INTAKE_TOKENS=TOKEN)


webhooks = st.one_of(
    json_values,
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(FIELDS, json_values) | {"event_type": st.just("generation.completed")}
    ),
).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=100)
NAMES = ("x-katalo-signature", "content-type", "content-encoding", "authorization", "accept", "x-forwarded-for")
headers = st.dictionaries(
    st.sampled_from(NAMES),
    st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), max_size=80),
    max_size=4,
)


def sent(door: Door, path: str, body: bytes, given_: dict[str, str]) -> httpx.Response:
    answer = door.http.post(path, content=body, headers=given_)
    assert b"Traceback" not in answer.content
    assert SECRET.encode() not in answer.content
    assert TOKEN.encode() not in answer.content
    return answer


@tried(60)
@given(webhooks, headers, st.booleans())
def test_a_webhook_of_any_kind_is_kept_or_refused(
    door: Door, body: bytes, given_: dict[str, str], signed: bool
) -> None:
    given_ = {**given_, **({"x-katalo-signature": sign(body, SECRET)} if signed else {})}
    answer = sent(door, "/webhooks/katalo", body, given_)
    assert answer.status_code in ({200, 400} if signed else {401})


listings = st.lists(json_values | st.dictionaries(st.sampled_from(["listing_id", "photos"]), json_values), max_size=3)


@tried(60)
@given(listings, st.booleans())
def test_records_of_any_kind_are_reported_on(door: Door, found: list[Any], lines: bool) -> None:
    body = b"\n".join(json.dumps(one).encode() for one in found) if lines else json.dumps(found).encode()
    kind = "application/x-ndjson" if lines else "application/json"
    answer = sent(door, "/v1/listings", body, {"authorization": f"Bearer {TOKEN}", "content-type": kind})
    assert answer.status_code in {200, 202, 207, 413, 422}
    assert answer.json()


@tried(40)
@given(st.binary(max_size=60), headers)
def test_nobody_without_a_token_is_let_in(door: Door, body: bytes, given_: dict[str, str]) -> None:
    assert sent(door, "/v1/listings", body, given_).status_code == 401


PATHS = (
    b"/v1/photos/%ff/%00",
    b"/v1/photos/..%2f..%2fetc/passwd",
    b"/webhooks/katalo/%2e%2e",
    b"/webhooks/katalo/" + b"a" * 9_000,
    b"/docs?" + b"x" * 5_000,
    b"http://x/healthz",
    b"/metrics",
    b"*",
    b"/%zz",
    b"//",
    b"/\xff",
)
LINES = (
    b"a: b",
    b"content-length: -1",
    b"content-length: 99999999999999999999",
    b"content-length: 1\r\ncontent-length: 2",
    b"transfer-encoding: chunked\r\n\r\nzz",
    b"upgrade: websocket\r\nconnection: upgrade",
    b"x-katalo-signature: \xff",
    b"\x00: \x00",
)
requests = st.tuples(
    st.sampled_from([b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"get", b"\xff"]),
    st.sampled_from(PATHS),
    st.sampled_from(LINES),
).map(lambda parts: b"%s %s HTTP/1.1\r\nhost: x\r\nconnection: close\r\n%s\r\n\r\n" % parts)


@tried(60)
@given(requests | st.binary(max_size=200))
def test_bytes_that_are_no_request_harm_nobody(door: Door, data: bytes) -> None:
    with socket.create_connection(door.address) as caller:
        caller.settimeout(60)
        caller.sendall(data)
        caller.shutdown(socket.SHUT_WR)
        seen = b""
        try:
            while some := caller.recv(4_096):
                seen += some
        except ConnectionResetError:
            seen += b""
    assert b" 500 " not in seen[:40]
    assert b"Traceback" not in seen
    assert door.http.get("/healthz").status_code == 200
