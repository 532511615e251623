"""Every answer that is not a success becomes the one error that says what happened, what is certain and what to do."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.katalo.errors import (
    BadRequest,
    Forbidden,
    IdempotencyConflict,
    KataloError,
    NotFound,
    NotSent,
    OutcomeUnknown,
    PaymentRequired,
    RateLimited,
    ServerTrouble,
    Unauthorized,
    UnexpectedStatus,
    ValidationFailed,
    error_from_response,
)
from worker.katalo.masking import MAX_MESSAGE_CHARACTERS, clean

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


def error_of(status: int, body: object = b"", **headers: str) -> KataloError:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return error_from_response("POST /generations", status, content, named, NOW)


def envelope(**fields: Any) -> dict[str, Any]:
    return {"error": {"code": "some_code", "message": "some reason", "retryable": False, "retry_after": None} | fields}


@pytest.mark.parametrize(
    ("status", "kind", "refused", "retryable"),
    [
        (400, BadRequest, True, False),
        (401, Unauthorized, True, False),
        (402, PaymentRequired, True, False),
        (403, Forbidden, True, False),
        (404, NotFound, True, False),
        (408, UnexpectedStatus, False, True),
        (409, IdempotencyConflict, True, False),
        (413, UnexpectedStatus, True, False),
        (422, ValidationFailed, True, False),
        (425, UnexpectedStatus, True, True),
        (429, RateLimited, True, True),
        (500, ServerTrouble, False, True),
        (502, ServerTrouble, False, True),
        (599, ServerTrouble, False, True),
        (999, ServerTrouble, False, True),
        (101, UnexpectedStatus, False, False),
        (303, UnexpectedStatus, False, False),
    ],
)
def test_a_status_alone_says_what_is_certain(
    status: int, kind: type[KataloError], refused: bool, retryable: bool
) -> None:
    error = error_of(status)
    assert (type(error), error.refused, error.retryable) == (kind, refused, retryable)
    assert error.status == status
    assert str(status) in str(error)
    assert error.remedy
    assert str(error).endswith(error.remedy)


def test_what_was_not_sent_is_refused_and_an_unknown_outcome_is_not() -> None:
    assert NotSent("POST /generations", "no connection").refused
    assert not OutcomeUnknown("POST /generations", "no answer").refused


@pytest.mark.parametrize(("status", "flag", "retryable"), [(500, False, False), (400, True, True), (429, False, False)])
def test_the_apis_own_flag_decides_over_the_status(status: int, flag: bool, retryable: bool) -> None:
    assert error_of(status, envelope(retryable=flag)).retryable is retryable


@pytest.mark.parametrize("status", [401, 403, 409, 422])
def test_some_refusals_are_never_repeated_at_once_whatever_the_flag_says(status: int) -> None:
    error = error_of(status, envelope(retryable=True, code="validation_error"))
    assert error.retryable
    assert (error.retry_after_s or 0) > 1


@pytest.mark.parametrize(
    ("status", "fields", "flow"),
    [
        (429, {}, True),
        (429, {"retryable": True, "code": "rate_limited"}, True),
        *((status, {"retryable": True, "code": "in_flight_limit"}, True) for status in (403, 409, 422)),
        *((status, {"retryable": True, "code": None}, True) for status in (403, 409, 422)),
        *((status, {"retryable": False, "code": "in_flight_limit"}, False) for status in (403, 409, 422)),
        *((status, {"retryable": None}, False) for status in (403, 409, 422)),
        (409, {"retryable": True, "code": "idempotency_conflict"}, False),
        (422, {"retryable": True, "code": "validation_error"}, False),
        (403, {"retryable": True, "code": "unauthorized"}, False),
        (400, {"retryable": True}, False),
        (503, {"retryable": True}, False),
    ],
)
def test_flow_control_is_told_from_a_refusal_of_the_request(status: int, fields: dict[str, Any], flow: bool) -> None:
    assert error_of(status, envelope(**fields)).is_flow_control is flow


def test_a_429_without_an_envelope_is_flow_control() -> None:
    assert error_of(429, b"<h1>Too many</h1>").is_flow_control


@pytest.mark.parametrize(
    ("fields", "in_flight"),
    [
        ({"code": "in_flight_limit"}, True),
        ({"message": "too many jobs in flight"}, True),
        ({"message": "In-flight cap reached"}, True),
        ({"message": "concurrency limit"}, True),
        ({"message": "50 active generation jobs"}, True),
        ({"message": "too many requests, slow down"}, False),
        ({"message": None, "code": "rate_limited"}, False),
    ],
)
def test_too_many_jobs_are_told_from_too_many_requests(fields: dict[str, Any], in_flight: bool) -> None:
    assert error_of(429, envelope(**fields)).in_flight is in_flight
    assert not error_of(400, envelope(**fields)).in_flight


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        (envelope(), "some reason", "some_code"),
        (envelope(code=7), "some reason", "7"),
        (envelope(details=[{"field": "mode"}]), 'some reason [{"field": "mode"}]', "some_code"),
        ({"error": "not entitled"}, "not entitled", None),
        ({"error": "Not Found", "message": "no such job"}, "no such job", None),
        ({"message": "bare", "code": "c"}, "bare", "c"),
        ({"detail": "bare"}, "bare", None),
        ({"errors": [{"code": "c", "message": "first"}, {"message": "second"}]}, "first", "c"),
        ("just text", "just text", None),
        (b"upstream  timed\r\nout", "upstream timed out", None),
        (b"<html><head><title>502</title></head><body><h1>Bad\nGateway</h1></body></html>", "502 Bad Gateway", None),
        (b"", "answered 418 without a reason", None),
        (b"\xff\xfe\x00", "answered 418 without a reason", None),
        ({"error": None}, '{"error": null}', None),
        ([1], "[1]", None),
    ],
)
def test_the_best_message_is_found_in_any_body(body: object, message: str, code: str | None) -> None:
    error = error_of(418, body)
    if message.startswith("answered") and body:
        assert error.message
    else:
        assert error.message == message
    assert error.code == code
    assert error.message in str(error)


def test_body_and_header_say_how_long_to_wait() -> None:
    assert error_of(429, envelope(retry_after=2), retry_after="9").retry_after_s == 9
    assert error_of(429, envelope(retry_after="12")).retry_after_s == 12
    assert error_of(503, b"busy", retry_after="Tue, 24 Nov 2026 12:00:30 GMT").retry_after_s == 30
    assert error_of(429, envelope()).retry_after_s is None


@pytest.mark.parametrize(
    "text",
    [
        "at https://s3.example.com/a/b.jpg?X-Amz-Signature=5ecret&X=1 now",
        "at HTTPS://s3.example.com/a?sig=5ecret",
        "at /a/b.jpg?sig=5ecret",
        'at {"url":"https:\\/\\/s3.example.com\\/a?sig=5ecret"}',
        "at https://user:5ecret@example.com/a",
        "key kat_live_abc.5ecret refused",
        "key kat_test_5ecret",
    ],
)
def test_keys_and_signed_queries_never_reach_a_message(text: str) -> None:
    for body in (text.encode(), {"error": {"message": text, "code": text}}, {"error": text}, envelope(details=[text])):
        error = error_of(400, body)
        assert "5ecret" not in str(error) + repr(error) + str(error.code)


def test_a_message_is_one_short_line_that_can_be_printed_and_stored() -> None:
    assert clean("a\x00b\r\n\tc\x1b[31m\u202e\u2028d\ud800") == "ab c[31m d"
    assert len(clean("x" * 10_000)) == MAX_MESSAGE_CHARACTERS
    assert len(error_of(400, b"<" * 1_000_000).message) <= MAX_MESSAGE_CHARACTERS


@given(
    st.integers(100, 999).filter(lambda status: not 200 <= status < 300),
    st.binary()
    | st.text().map(str.encode)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(st.characters()),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["error", "errors", "code", "message", "retryable", "retry_after", "details"]), inner
            )
        ),
        max_leaves=10,
    ).map(lambda value: json.dumps(value).encode()),
    st.none() | st.text(),
)
def test_no_answer_breaks_the_tree(status: int, body: bytes, wait: str | None) -> None:
    error = error_from_response("GET /generations", status, body, {} if wait is None else {"retry-after": wait}, NOW)
    str(error).encode()
    assert len(error.message) <= MAX_MESSAGE_CHARACTERS
    assert error.retry_after_s is None or 1 <= error.retry_after_s <= 300
    assert error.refused == (400 <= status < 500 and status != 408)
    assert isinstance(error.in_flight, bool)
