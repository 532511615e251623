"""What a webhook is answered: success only for what Redis has, 503 for any trouble of ours, and never a traceback."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator

import pytest

from tests.unit.gateway.conftest import OLD_SECRET, PATH, SECRET, Door, Open, completed
from worker.gateway.webhooks import MAX_BYTES
from worker.katalo.signature import sign

#: Nobody listens there.
NO_REDIS = "redis://127.0.0.1:1/0"


def test_a_signed_webhook_is_stored_before_it_is_answered(door: Door) -> None:
    answer = door.send(completed(reference="r", source_asset_id="src"))
    assert (answer.status_code, answer.json()) == (200, {"outcome": "kept"})
    kept = json.loads(str(door.redis.get("sc1:{default}:inbox:gen_1")))
    assert (kept["job_id"], kept["reference"], kept["source_asset_id"]) == ("gen_1", "r", "src")


def test_a_webhook_that_comes_twice_is_answered_alike_and_counted(door: Door) -> None:
    assert [door.send(completed()).status_code for _ in range(3)] == [200] * 3
    assert door.counts() == {"kept": 1, "duplicate": 2}


def test_while_secrets_are_rotated_either_signs(door: Door) -> None:
    assert door.send(completed("gen_1"), secret=SECRET).status_code == 200
    assert door.send(completed("gen_2"), secret=OLD_SECRET).status_code == 200


@pytest.mark.parametrize(
    "signature", ["", "0" * 64, "g" * 64, "x" * 9_000, "sha1=" + "0" * 40, sign(b"another body", SECRET)]
)
def test_a_forged_webhook_is_refused_counted_and_leaves_nothing(door: Door, signature: str) -> None:
    assert door.send(completed(), headers={"x-katalo-signature": signature}).status_code == 401
    assert door.counts() == {"refused": 1}
    assert door.redis.keys("*inbox*") == []


def test_a_webhook_without_a_signature_is_refused(door: Door) -> None:
    assert door.http.post(PATH, json=completed()).status_code == 401


def test_a_signature_of_somebody_elses_is_refused_whatever_the_body_is(door: Door) -> None:
    """Nothing is parsed before the signature was checked."""
    for body in (b"[" * 100_000, b"\xff", b"{}", b""):
        assert door.send(body, secret="guess").status_code == 401
    assert door.counts() == {"refused": 4}


@pytest.mark.parametrize(
    "path", [f"{PATH}/", f"{PATH}/default", f"{PATH}/default/", f"{PATH}/nobody", f"{PATH}/%7B%7D"]
)
def test_the_signature_decides_whose_webhook_it_is_not_the_path(door: Door, path: str) -> None:
    assert door.send(completed(), path=path).json() == {"outcome": "kept"}
    assert door.send(completed(), path=path, secret="guess").status_code == 401
    assert door.counts() == {"kept": 1, "refused": 1}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"null", 400),
        (b"17", 400),
        (b"\x00\xff\xfe", 400),
        (b"[" * 100_000, 400),
        (b'{"a":' * 50_000, 400),
        (b"9" * 10_000, 400),
        (b"a=b&c=d", 400),
        (b"{}", 200),
        (b'{"job_id":"gen_1"}', 200),
        (b'{"event_type":"generation.archived","job_id":"gen_1"}', 200),
        (b'{"event_type":"generation.completed"}', 200),
        (b'{"event_type":{"a":[]},"job_id":[1],"outputs":{"primary":{"url":{}}},"failure":[[]]}', 200),
        (b'{"event_type":"generation.completed","job_id":"\\ud800","outputs":["https://a/\\udfff"]}', 200),
        (b'{"event_type":"generation.completed","job_id":"..","reference":"\\u0000\\n","outputs":[]}', 200),
        (b'{"job_id":"a b \\r\\n*{}","event_type":"generation.failed","failure":{"message":null}}', 200),
        ('{"job_id":"ünï ☃","event_type":"generation.completed","outputs":["https://a"]}'.encode(), 200),
        (b'{"job_id":1e400,"event_type":NaN,"reference":-Infinity}', 200),
        (b'{"job_id":123456789012345678901234567890,"event_type":"generation.failed"}', 200),
        (json.dumps({"job_id": "x" * 200_000, "reference": "y" * 50_000}).encode(), 200),
        (json.dumps(completed(outputs=[{"url": f"https://a/{n}"} for n in range(2_000)])).encode(), 200),
    ],
    ids=lambda value: repr(value[:40]) if isinstance(value, bytes) else str(value),
)
def test_no_signed_body_is_too_awkward_to_be_answered(
    door: Door, body: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    answer = door.send(body)
    assert answer.status_code == status, answer.text
    assert [record for record in caplog.records if record.levelno >= logging.ERROR or record.exc_info] == []


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "multipart/form-data"},
        {"content-type": "\xff"},
        {"content-encoding": "gzip"},
        {"expect": "100-continue"},
        {"x-katalo-signature-2": "0" * 64, "x-forwarded-for": "', DROP TABLE"},
    ],
    ids=str,
)
def test_other_headers_change_nothing(door: Door, headers: dict[str, str]) -> None:
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    assert door.send(completed(), headers=encoded).status_code == 200  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_refused(door: Door, method: str) -> None:
    assert door.http.request(method, PATH).status_code == 405


def test_a_body_is_taken_up_to_its_cap(door: Door) -> None:
    filled = {**completed(), "metadata": {"note": ""}}
    filled["metadata"]["note"] = "x" * (MAX_BYTES - len(json.dumps(filled)))
    assert door.send(json.dumps(filled).encode()).status_code == 200


def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent(door: Door) -> None:
    head = f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: {MAX_BYTES + 1}\r\n\r\n"
    assert raw(door, head.encode()).startswith(b"HTTP/1.1 413")
    assert door.counts() == {"too_large": 1}


def test_a_body_without_a_length_is_read_up_to_the_cap_only(door: Door) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(MAX_BYTES // 65_536 + 1):
            yield b"x" * 65_536

    assert door.http.post(PATH, content=endless()).status_code == 413
    head = f"POST {PATH} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{MAX_BYTES + 1:x}\r\n".encode()
    assert raw(door, head + b"x" * (MAX_BYTES + 1)).startswith(b"HTTP/1.1 413"), "the last chunk is never waited for"


def test_a_sender_that_hangs_up_in_mid_body_disturbs_nobody(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_connection(door.address) as line:
        line.sendall(f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf".encode())
    assert door.send(completed()).status_code == 200
    assert [record for record in caplog.records if record.exc_info] == []


def test_without_redis_a_webhook_is_to_come_again(gateway: Open) -> None:
    answer = gateway(redis=NO_REDIS).send(completed())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


def test_without_redis_a_forged_webhook_is_refused_all_the_same(gateway: Open) -> None:
    door = gateway(redis=NO_REDIS)
    assert door.send(completed(), secret="guess").status_code == 401
    assert door.send(b"x" * (MAX_BYTES + 1)).status_code == 413


def test_a_redis_that_takes_no_writes_makes_a_webhook_come_again(door: Door) -> None:
    """Out of memory, a replica, a script that fails: all of it passes, and is none of the sender's doing."""
    door.redis.config_set("maxmemory", "1")
    try:
        assert door.send(completed()).status_code == 503
    finally:
        door.redis.config_set("maxmemory", "0")
    assert door.send(completed()).status_code == 200


def test_a_script_that_fails_makes_a_webhook_come_again(door: Door) -> None:
    door.redis.set("sc1:{default}:notices", "no sorted set")
    assert door.send(completed()).status_code == 503


def test_a_gateway_that_has_no_secret_yet_lets_webhooks_come_again(gateway: Open) -> None:
    door = gateway(KATALO_WEBHOOK_SECRET="")
    assert door.send(completed()).status_code == 503
    assert door.send(completed(), secret="").status_code == 503
    assert door.redis.keys("*") == []


def test_no_secret_and_no_signed_url_is_in_an_answer_or_a_log(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    answers = [door.send(completed()), door.send(completed(), secret="guess"), door.send(b"{")]
    written = "".join(answer.text for answer in answers) + caplog.text + str([vars(r) for r in caplog.records])
    assert SECRET not in written
    assert "hush" not in written


def raw(door: Door, request: bytes) -> bytes:
    """Send bytes as they are and return the beginning of the answer; the sender goes on waiting, as it may."""
    with socket.create_connection(door.address, timeout=60) as line:
        line.sendall(request)
        return line.recv(4096)
