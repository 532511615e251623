"""Only a body signed with a secret of ours is let in, in each of the written forms of the digest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.katalo.signature import sign, verify

BODY = b'{"event_type":"generation.completed"}'
SIGNED = sign(BODY, "secret")


def test_the_signature_is_hmac_sha256_of_the_raw_body_in_hex() -> None:
    # The first test case of RFC 4231 whose key is text.
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert sign(b"what do ya want for nothing?", "Jefe") == expected


@pytest.mark.parametrize(
    "header", [SIGNED, SIGNED.upper(), f"sha256={SIGNED}", f" {SIGNED} ", f"sha256={SIGNED.upper()}"]
)
def test_the_written_forms_of_a_good_signature_are_taken(header: str) -> None:
    assert verify(BODY, header, ["secret"])


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "sha256=",
        SIGNED[:-1],
        SIGNED[:-2],
        SIGNED + "00",
        f"sha1={SIGNED}",
        f"sha256=sha256={SIGNED}",
        f"t=1,v1={SIGNED}",
        " ".join(SIGNED),
        SIGNED.replace(SIGNED[0], "g", 1),
        "0" * 64,
        "é" * 64,
        "٣" * 64,
    ],
)
def test_anything_else_is_turned_away(header: str | None) -> None:
    assert not verify(BODY, header, ["secret"])


def test_old_and_new_secret_both_count_while_they_are_rotated() -> None:
    assert verify(BODY, sign(BODY, "old"), ["new", "old"])
    assert verify(BODY, sign(BODY, "new"), ["new", "old"])
    assert not verify(BODY, sign(BODY, "other"), ["new", "old"])


def test_without_a_secret_nobody_is_let_in() -> None:
    assert not verify(BODY, sign(BODY, ""), [])
    assert not verify(BODY, sign(BODY, ""), [""])
    assert verify(BODY, SIGNED, ["", "secret"])


def test_a_secret_that_is_not_utf8_in_the_environment_works() -> None:
    secret = b"\xff\xfe".decode("utf-8", "surrogateescape")
    assert verify(BODY, sign(BODY, secret), [secret])


@given(st.binary(), st.text(), st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_no_header_raises_and_the_right_one_always_fits(body: bytes, header: str, secret: str) -> None:
    verify(body, header, [secret])
    assert verify(body, sign(body, secret), [secret])
    assert not verify(body + b"x", sign(body, secret), [secret])
