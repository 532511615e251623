"""`POST /v1/listings`: good records are in the ledger when the answer comes, bad ones are told with a remedy."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from config.settings import Settings, load_settings
from tests.intake.conftest import TOKEN, Served, as_lines, record, serving
from worker.core.photo import Stage
from worker.embedded.redis_server import embedded_redis
from worker.gateway.streaming import MAX_RECORD_BYTES
from worker.intake.reception import MOST_TOLD
from worker.ledger.intake import IntakeCounters

JSON = {"Content-Type": "application/json"}


def test_a_record_is_in_the_ledger_when_the_answer_comes(served: Served) -> None:
    answer = served.post(record("listing-1", "front", "back"))
    assert answer.status_code == 202
    assert answer.json() == {
        "listings": 1,
        "photos": {"accepted": 2, "same": 0, "revised": 0, "queued_revision": 0, "held": 0},
        "bad_record_count": 0,
        "bad_records": [],
        "held": [],
        "warnings": [],
    }
    assert served.kept() == {("listing-1", "front"), ("listing-1", "back")}


def test_the_same_record_again_changes_nothing_and_says_so(served: Served) -> None:
    assert served.post(record()).status_code == 202
    again = served.post(record())
    assert (again.status_code, again.json()["photos"]["same"]) == (200, 1)
    changed = record()
    changed["photos"][0]["mode"] = "refurnish"
    revised = served.post(changed)
    assert (revised.status_code, revised.json()["photos"]["revised"]) == (202, 1)


def test_bad_photos_and_bad_records_are_told_and_the_good_ones_go_on(served: Served) -> None:
    bad_photo = record("a", "good", "bad")
    bad_photo["photos"][1]["style"] = "modern"
    answer = served.post([bad_photo, {"photos": []}, record("b", priority=12), record("c")])
    assert answer.status_code == 207
    told = answer.json()
    assert (told["listings"], told["photos"]["accepted"], told["bad_record_count"]) == (2, 2, 3)
    assert [(bad["where"], bad["listing_id"], bad["photo_id"], bad["field"]) for bad in told["bad_records"]] == [
        ("the body record 1, photo 2", "a", "bad", "style"),
        ("the body record 2", None, None, "listing_id"),
        ("the body record 3", "b", None, "priority"),
    ]
    assert told["bad_records"][0]["remedy"] == "did you mean 'style_preset'?"
    assert served.kept() == {("a", "good"), ("c", "front")}


def test_lines_are_taken_as_they_come_each_on_its_own(served: Served) -> None:
    body = b"\xef\xbb\xbf" + as_lines(record("a")) + b"\r\n\n{broken\n" + as_lines(record("b")) + b'"\xff"\n'
    answer = served.lines(body + as_lines(record("c")).rstrip(b"\n"))
    assert answer.status_code == 207
    assert [bad["where"] for bad in answer.json()["bad_records"]] == ["line 4", "line 6"]
    assert served.kept() == {("a", "front"), ("b", "front"), ("c", "front")}


def test_a_line_that_is_too_long_is_told_and_its_neighbours_go_on(served: Served) -> None:
    def body() -> Iterator[bytes]:
        yield as_lines(record("a"))
        for _ in range(MAX_RECORD_BYTES // 1_000_000 + 1):
            yield b"x" * 1_000_000
        yield b"\n" + as_lines(record("b"))

    answer = served.lines(body())
    assert answer.status_code == 207
    assert [(bad["where"], bad["problem"]) for bad in answer.json()["bad_records"]] == [
        ("line 2", "the line is longer than 4 MB")
    ]
    assert served.kept() == {("a", "front"), ("b", "front")}


@pytest.mark.parametrize(
    "source", ["/etc/passwd", "file:///etc/passwd", "pictures/1.jpg", "ftp://host/1.jpg", "data:image/jpeg;base64,AA"]
)
def test_a_source_that_is_no_address_is_refused(served: Served, source: str) -> None:
    sent = record()
    sent["photos"][0]["source"] = source
    answer = served.post(sent)
    assert answer.status_code == 422
    assert answer.json()["bad_records"][0]["field"] == "source"
    assert served.kept() == set()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "not JSON"),
        (b"[1, null, []]", "the record is 1"),
        (b'{"listing_id": "\\ud800", "photos": [{}]}', "half a character"),
        (b'{"listing_id": NaN}', "NaN is no number"),
        (b"[" * 100_000, "nested too deeply"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_a_body_without_a_good_record_is_refused_with_the_reason(served: Served, content: bytes, said: str) -> None:
    answer = served.client.post("/v1/listings", content=content, headers=JSON)
    assert answer.status_code == 422
    assert said in answer.json()["bad_records"][0]["problem"]


@pytest.mark.parametrize("content", [b"", b"  \n ", b"[]"])
def test_a_body_without_any_record_is_refused(served: Served, content: bytes) -> None:
    for media_type in ("application/json", "application/x-ndjson"):
        if content == b"[]" and media_type != "application/json":
            continue
        answer = served.client.post("/v1/listings", content=content, headers={"Content-Type": media_type})
        assert (answer.status_code, answer.json()["listings"]) == (422, 0)
        assert [bad["problem"] for bad in answer.json()["bad_records"]] == ["there is no record in it"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": ""},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
def test_another_kind_of_body_is_refused_with_the_kinds_that_are_taken(served: Served, headers: dict[str, str]) -> None:
    answer = served.client.post("/v1/listings", content=b"{}", headers=headers)
    assert answer.status_code == 415
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) == {"title", "status", "detail", "remedy"}


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xff".encode("latin-1")]
)
def test_without_a_right_token_nothing_is_taken(served: Served, authorization: str | bytes) -> None:
    answer = served.post(record(), headers={"Authorization": authorization})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert TOKEN not in answer.text
    assert served.kept() == set()


def test_every_token_of_several_is_good(served: Served) -> None:
    headers = {"Authorization": "bearer another-token-0123456789"}
    assert served.post(record(), headers=headers).status_code == 202


def test_a_gateway_without_tokens_takes_nothing_even_from_this_machine(redis_url: str) -> None:
    with serving(load_settings({"STAGECREW_REDIS_URL": redis_url})) as open_to_nobody:
        answer = open_to_nobody.post(record())
        assert answer.status_code == 403
        assert "STAGECREW_INTAKE_TOKENS" in answer.json()["remedy"]


def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_read(served: Served) -> None:
    with socket.create_connection(served.address) as plain:
        plain.sendall(
            b"POST /v1/listings HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
            b"Authorization: Bearer " + TOKEN.encode() + b"\r\nContent-Length: 20000001\r\n\r\n"
        )
        assert plain.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_grows_too_large_says_what_was_taken_before(served: Served) -> None:
    def body() -> Iterator[bytes]:
        yield as_lines(record("a"), record("b"))
        for _ in range(11):
            yield b" " * 1_999_999 + b"\n"

    answer = served.lines(body())
    assert answer.status_code == 413
    assert answer.json()["report"]["listings"] == 2
    assert served.kept() == {("a", "front"), ("b", "front")}


def test_a_json_document_that_is_too_large_is_to_be_sent_as_lines(served: Served) -> None:
    answer = served.client.post("/v1/listings", content=b" " * (MAX_RECORD_BYTES + 1), headers=JSON)
    assert answer.status_code == 413
    assert "application/x-ndjson" in answer.json()["remedy"]


def test_a_connection_that_breaks_leaves_what_had_come_whole(served: Served) -> None:
    whole = as_lines(record("a"), record("b"))
    with socket.create_connection(served.address) as plain:
        plain.sendall(
            b"POST /v1/listings HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
            b"Authorization: Bearer " + TOKEN.encode() + b"\r\nContent-Length: 100000\r\n\r\n" + whole + b'{"listing'
        )
        assert _until(lambda: served.kept() == {("a", "front"), ("b", "front")})
    assert served.lines(whole + as_lines(record("c"))).status_code == 202
    assert len(served.kept()) == 3


def test_held_photos_are_named(served: Served) -> None:
    served.post(record("a", "1", "2"))

    async def fail(account: Any) -> None:
        [photo] = [view for view in await account.ledger.listing("a") if view.photo_id == "2"]
        row = f"{account.scripts.root}p:{photo.key}"
        await account.redis.hset(row, mapping={"stage": "failed"})

    served.ask(fail)
    answer = served.post(record("a", "1", "2"))
    assert answer.status_code == 200
    assert answer.json()["held"] == [{"listing_id": "a", "photo_id": "2", "stage": "failed"}]


def test_what_is_told_is_bounded_and_what_is_counted_is_whole(served: Served) -> None:
    answer = served.lines(b"{}\n" * (MOST_TOLD + 500) + as_lines(record()))
    told = answer.json()
    assert (answer.status_code, told["bad_record_count"], len(told["bad_records"])) == (207, MOST_TOLD + 500, MOST_TOLD)


def test_an_account_that_is_not_there_is_a_bad_record(served: Served) -> None:
    answer = served.post([record("a", account="west"), record("b", account="default")])
    assert answer.status_code == 207
    [bad] = answer.json()["bad_records"]
    assert (bad["listing_id"], bad["field"]) == ("a", "account")
    assert "default" in bad["remedy"]


def test_a_doubt_is_told_as_a_warning(served: Served) -> None:
    sent = record()
    sent["photos"][0] |= {"mode": "refurnish", "room_types": ["Living Rom"], "style_preset": "modern"}
    answer = served.post(sent)
    assert answer.status_code == 202
    assert "Living Room" in answer.json()["warnings"][0]


def test_many_photos_of_many_listings_go_in_by_one_request(served: Served) -> None:
    answer = served.lines(as_lines(*(record(f"listing {n}", "1", "2", "3") for n in range(1_000))))
    assert (answer.status_code, answer.json()["photos"]["accepted"]) == (202, 3_000)
    assert served.ask(lambda account: account.ledger.snapshot()).stages == {Stage.ACCEPTED: 3_000}


def test_everything_that_came_in_is_counted_by_door(served: Served) -> None:
    served.post([record("a", "1", "2"), {}])
    served.post(record("a", "1", "2"))
    assert served.ask(lambda account: IntakeCounters(account.scripts).totals()) == {
        ("http", "accepted"): 2,
        ("http", "same"): 2,
        ("http", "listings"): 2,
        ("http", "bad_records"): 1,
        ("http", "hand_overs"): 2,
    }


def test_no_redis_is_to_be_tried_again_and_nothing_is_lost_by_it(gateway_settings: Settings, tmp_path: Path) -> None:
    with embedded_redis(tmp_path / "redis") as redis:
        from pydantic import SecretStr

        settings = gateway_settings.model_copy(update={"redis_url": SecretStr(redis.url)})
        with serving(settings) as served:
            assert served.post(record("a")).status_code == 202
            redis.process.kill()
            redis.process.wait()
            for answer in (served.post(record("b")), served.client.get("/v1/listings/a")):
                assert answer.status_code == 503
                assert int(answer.headers["retry-after"]) > 0


def test_too_many_bodies_at_once_are_to_be_tried_again(served: Served) -> None:
    head = (
        b"POST /v1/listings HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
        b"Authorization: Bearer " + TOKEN.encode() + b"\r\nContent-Length: 1000\r\n\r\n"
    )
    waiting = [socket.create_connection(served.address) for _ in range(8)]
    try:
        for at, plain in enumerate(waiting):
            plain.sendall(head + as_lines(record(f"waiting {at}")))
        assert _until(lambda: len(served.kept()) == 8)
        answer = served.post(record("one more"))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    finally:
        for plain in waiting:
            plain.close()
    assert _until(lambda: served.post(record("one more")).status_code == 202)


def _until(true: Any) -> bool:
    """Wait for something that the server does; pytest's own time limit ends what never comes."""
    while not true():
        pass
    return True


def test_a_twin_of_a_client_is_not_confused_by_pipelining(served: Served) -> None:
    """Two requests on one connection, the first refused without its body having been read."""
    with httpx.Client(base_url=served.client.base_url) as client:
        assert client.post("/v1/listings", json=record()).status_code == 401
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert client.post("/v1/listings", json=record(), headers=headers).status_code == 202
