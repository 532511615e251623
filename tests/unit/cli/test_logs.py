"""No secret is ever logged, wherever in an event it stands and whoever logs it."""

from __future__ import annotations

import io
import json
import logging
import warnings

import pytest
import structlog

from worker.logs import MASK, mask, masked, set_up

KEY = "kat_live_abc123.s3cr3t-part"


@pytest.fixture
def log(monkeypatch):
    """Standard error as the application sets it up; what was there before comes back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    out = io.StringIO()
    yield out
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"key {KEY} is revoked", f"key kat_{MASK} is revoked"),
        (f'{{"api_key":"{KEY}"}}', f'{{"api_key":"kat_{MASK}"}}'),
        (
            "GET https://bucket.test/a.jpg?X-Amz-Signature=abc&x=1 failed",
            f"GET https://bucket.test/a.jpg?{MASK} failed",
        ),
        ("s3://bucket/key?versionId=3", f"s3://bucket/key?{MASK}"),
        ("redis://:hunter2@10.0.0.1:6379/0", f"redis://{MASK}@10.0.0.1:6379/0"),
        ("redis://user:hunter2@host and more", f"redis://{MASK}@host and more"),
        ("redis://user:hunt@r2@host, redis://:b@c@h2/0", f"redis://{MASK}@host, redis://{MASK}@h2/0"),
        ("see https://a.test/x, mail a@b.test", "see https://a.test/x, mail a@b.test"),
        ("x-amz-date:1\nx-amz-security-token:IQoJb3/+=\n", f"x-amz-date:1\nx-amz-security-token:{MASK}\n"),
        ("{'X-Amz-Security-Token': b'IQoJb3/+='}", f"{{'X-Amz-Security-Token': b'{MASK}'}}"),
        ("Authorization: Bearer abcdef123456", f"Authorization: Bearer {MASK}"),
        ("is it there? yes", "is it there? yes"),
        ("https://bucket.test/a.jpg", "https://bucket.test/a.jpg"),
        ("mail a@b.test", "mail a@b.test"),
    ],
)
def test_text_is_masked(text, shown):
    assert mask(text) == shown


@pytest.mark.parametrize(
    "name",
    [
        "api_key",
        "KATALO_API_KEY",
        "x-api-key",
        "Authorization",
        "webhook_secret",
        "lease_token",
        "password",
        "redis_url",
    ],
)
def test_values_of_telling_names_are_masked(name):
    assert masked({"outer": [{name: "whatever"}]}) == {"outer": [{name: MASK}]}


@pytest.mark.parametrize("name", ["key", "idempotency_key", "photo", "listing_id"])
def test_values_of_other_names_stay(name):
    assert masked({name: "whatever"}) == {name: "whatever"}


def test_an_absent_secret_is_seen_to_be_absent():
    assert masked({"api_key": None}) == {"api_key": None}


@pytest.mark.parametrize("form", ["json", "pretty"])
def test_records_of_the_standard_library_are_masked_in_every_part(log, form):
    set_up("INFO", form, stream=log)
    try:
        raise ValueError(f"the API refused {KEY}")
    except ValueError:
        logging.getLogger("library").exception("call %s", f"https://x.test/?sig={KEY}", extra={"api_key": "plain-text"})
    said = log.getvalue()
    assert "s3cr3t" not in said
    assert "plain-text" not in said
    assert "ValueError" in said


def test_our_own_events_are_masked_and_are_one_json_object_a_line(log):
    set_up("INFO", "json", stream=log)
    structlog.get_logger("ours").warning(
        "refused", key=f"{KEY}", nested={"token": "t", "urls": ["https://x.test/?a=b"]}
    )
    event = json.loads(log.getvalue())
    assert event["event"] == "refused"
    assert event["level"] == "warning"
    assert event["key"] == f"kat_{MASK}"
    assert event["nested"] == {"token": MASK, "urls": [f"https://x.test/?{MASK}"]}


def test_warnings_are_logged_too(log):
    set_up("INFO", "json", stream=log)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"old {KEY}", stacklevel=1)
    assert "s3cr3t" not in log.getvalue()
    assert "py.warnings" in log.getvalue()


@pytest.mark.parametrize(("level", "seen"), [("INFO", False), ("DEBUG", True)])
def test_a_line_for_every_call_is_wanted_with_debug_only(log, level, seen):
    set_up(level, "json", stream=log)
    logging.getLogger("httpx").info("HTTP Request")
    assert ("HTTP Request" in log.getvalue()) is seen
