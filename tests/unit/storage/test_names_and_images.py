"""Object names are injective and safe for any id; bytes tell what they are."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from worker.storage.images import JPEG, PNG, WEBP, dimensions, is_complete, looks_like, sniff
from worker.storage.names import photo_folder, segment

ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80)
awkward = st.sampled_from(
    [
        "a",
        "A",
        "a b",
        "a/b",
        "a.b",
        "..",
        ".",
        "a~b",
        "ä",
        "é",
        "e\u0301",
        "x" * 1000,
        "CON",
        "a\\b",
        "%2e",
        "a-",
        "-a",
        "~",
    ]
)


@given(ids | awkward, ids | awkward)
def test_two_ids_never_share_a_name_not_even_where_case_is_ignored(one: str, other: str) -> None:
    assert (segment(one).casefold() == segment(other).casefold()) == (one == other)


@given(ids | awkward)
def test_a_name_is_safe_in_a_folder_a_bucket_and_a_url(identifier: str) -> None:
    name = segment(identifier)
    assert re.fullmatch(r"[a-z0-9._~-]{1,68}", name)
    assert not name.startswith(".")


@given(st.text(max_size=1000), st.text(max_size=1000))
def test_a_photos_folder_is_three_levels_deep_whatever_is_in_the_ids(listing: str, photo: str) -> None:
    parts = photo_folder("l" + listing, "p" + photo, "f").split("/")
    assert len(parts) == 3
    assert ".." not in parts


def encoded(form: str, size: tuple[int, int] = (320, 200), **options: object) -> bytes:
    """Return a real picture."""
    out = io.BytesIO()
    Image.effect_noise(size, 40).convert("RGB").save(out, form, **options)
    return out.getvalue()


@pytest.mark.parametrize(("form", "kind"), [("JPEG", JPEG), ("PNG", PNG), ("WEBP", WEBP)])
def test_pictures_are_told_by_their_bytes(form: str, kind: object) -> None:
    content = encoded(form)
    assert sniff(content) is kind
    assert dimensions(content) == (320, 200)
    assert is_complete(content, sniff(content) or JPEG)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_picture_that_ends_too_early_is_told(form: str, share: float) -> None:
    content = encoded(form)
    kind = sniff(content)
    assert kind is not None
    assert not is_complete(content[: int(len(content) * share)], kind)


def test_a_progressive_jpeg_with_a_trailer_is_complete() -> None:
    content = encoded("JPEG", progressive=True)
    assert dimensions(content) == (320, 200)
    assert is_complete(content + b"\x00" * 100, JPEG)


def test_a_lossless_webp_has_its_size() -> None:
    assert dimensions(encoded("WEBP", lossless=True)) == (320, 200)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything(content: bytes) -> None:
    for head in (
        b"",
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF0000WEBPVP8 ",
        b"RIFF0000WEBPVP8L",
        b"RIFF0000WEBPVP8X",
    ):
        data = head + content
        kind = sniff(data)
        dimensions(data)
        if kind:
            is_complete(data, kind)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><p>", "HTML"),
        (b'{"error":1}', "JSON"),
        (b"%PDF-1.7", "PDF"),
        (b"<?xml version", "XML"),
        (b"\x00\x01", "no known picture"),
    ],
)
def test_what_is_no_picture_is_named(content: bytes, said: str) -> None:
    assert sniff(content) is None
    assert said in looks_like(content)
