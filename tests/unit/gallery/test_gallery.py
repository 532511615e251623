"""The before/after page: complete in itself, safe with any text, and sound with any picture."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from worker.core.photo import Stage
from worker.core.request import Request
from worker.gallery import GalleryPhoto, build_gallery, made_small
from worker.gallery.pictures import scaled_down
from worker.gallery.reasons import remedy


def picture(width: int = 60, height: int = 40, *, kind: str = "JPEG", mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.new(mode, (width, height)).save(out, kind)
    return out.getvalue()


REQUEST = Request(source="file:///a.jpg", mode="refurnish", style_preset="modern", room_types=("Kitchen",))
STAGED = GalleryPhoto(
    listing_id="elm-12",
    photo_id="kitchen",
    partner="acme",
    request=REQUEST,
    before=picture(),
    after=picture(),
    job_id="job_1",
    revision=2,
    staged_at="2026-05-04T03:02:01.5Z",
)
FAILED = replace(STAGED, photo_id="bath", after=None, error="validation_error: no such room")


class Page(HTMLParser):
    """What a browser would see: tags with attributes, and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def test_a_photo_shows_its_pictures_and_facts() -> None:
    page = Page(build_gallery([replace(STAGED, alternate=picture())], "Spring"))
    assert page.count("img") == 3
    assert page.count("input") == 1
    for fact in ("Spring", "elm-12", "acme", "kitchen", "modern", "Kitchen", "refurnish", "job_1", "60 × 40 px"):
        assert fact in page.text
    assert "2026-05-04 03:02:01" in page.text


def test_the_header_counts_what_is_on_the_page() -> None:
    page = Page(build_gallery([STAGED, FAILED, replace(STAGED, listing_id="oak-1", partner="north")], "t"))
    for total in ("2 photos staged", "1 not staged", "2 listings", "2 partners"):
        assert total in page.text
    assert "not staged" not in Page(build_gallery([STAGED], "t")).text


def test_a_failed_photo_shows_its_source_and_its_reason_and_no_slider() -> None:
    page = Page(build_gallery([FAILED], "t"))
    assert "validation_error: no such room" in page.text
    assert (page.count("img"), page.count("input")) == (1, 0)


def test_photos_of_a_listing_stand_together_whatever_their_order() -> None:
    page = Page(build_gallery([STAGED, replace(STAGED, listing_id="oak-1"), FAILED], "t"))
    assert page.count("section") == 2


def test_every_address_is_in_the_page_itself() -> None:
    page = build_gallery([STAGED, FAILED, replace(STAGED, listing_id="oak-1")], "t")
    for _, attributes in Page(page).tags:
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:").startswith(("data:", "#"))
    assert "default-src 'none'" in page
    assert not re.search(r"https?:|url\(|@import", page)


NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<!--listings-->",
    "'",
    "\ud800",
    "\u202e",
    "&lt;",
]


@pytest.mark.parametrize("text", NASTY)
def test_no_text_becomes_markup(text: str) -> None:
    request = replace(REQUEST, style_preset=text, room_types=(text,), workflow=text, mode=text)
    nasty = replace(STAGED, listing_id=text, photo_id=text, partner=text, request=request, job_id=text, staged_at=text)
    harmless = [STAGED, replace(FAILED, listing_id="b")]
    page = Page(build_gallery([nasty, replace(nasty, listing_id="b", after=None, error=text)], text))
    plain = Page(build_gallery(harmless, "t"))
    assert [(tag, set(attributes)) for tag, attributes in page.tags] == [(tag, set(a)) for tag, a in plain.tags]


@given(st.text())
def test_any_title_can_be_written_as_utf_8(title: str) -> None:
    build_gallery([], title).encode()


@pytest.mark.parametrize("content", [b"", b"hello", picture()[:200], picture(kind="PNG")[:60]])
def test_a_picture_that_cant_be_read_is_said_so(content: bytes) -> None:
    page = Page(build_gallery([replace(STAGED, before=content or b"x", after=content or b"x")], "t"))
    assert page.count("img") == 0
    assert "can't be shown here" in page.text


def test_a_page_of_nothing_says_so() -> None:
    assert "There are no photos yet." in build_gallery([], "t")


def decoded(content: bytes, *, wide: bool = False) -> Image.Image:
    shown = scaled_down(content, wide=wide)
    assert shown is not None
    image = Image.open(io.BytesIO(base64.b64decode(shown.data_url.partition(",")[2])))
    assert image.format == "JPEG"
    assert image.size == (shown.width_px, shown.height_px)
    return image


def test_pictures_are_scaled_down_and_never_up() -> None:
    assert decoded(picture(4000, 3000)).size == (1280, 960)
    assert decoded(picture(60, 40)).size == (60, 40)
    assert decoded(picture(4096, 2048), wide=True).size == (2560, 1280)


def test_a_picture_stands_upright_and_says_nothing_of_its_place() -> None:
    image, exif, out = Image.new("RGB", (60, 40)), Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    exif[0x010F] = "Camera"
    image.save(out, "JPEG", exif=exif)
    shown = decoded(out.getvalue())
    assert shown.size == (40, 60)
    assert not shown.getexif()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "1"])
def test_any_kind_of_picture_becomes_a_jpeg_and_what_is_clear_becomes_white(mode: str) -> None:
    image = decoded(picture(kind="PNG", mode=mode))
    assert image.getpixel((0, 0)) == ((255, 255, 255) if mode in {"RGBA", "LA"} else (0, 0, 0))


@pytest.mark.parametrize("stage", Stage)
def test_every_stage_but_done_has_a_remedy(stage: Stage) -> None:
    assert bool(remedy(stage, "elm/kitchen")) is (stage is not Stage.DONE)


def test_the_pages_policy_lets_only_its_own_script_run() -> None:
    page = build_gallery([STAGED], "t")
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert "unsafe-inline" not in page


def test_many_photos_of_a_page_are_smaller() -> None:
    few, many = (build_gallery([replace(STAGED, after=picture(2000, 1000))] * count, "t") for count in (24, 25))
    assert 'width="1280"' in few
    assert 'width="960"' in many


def test_a_photo_that_was_made_small_before_is_the_same_on_the_page() -> None:
    whole = replace(STAGED, after=picture(2000, 1000), alternate=b"no picture")
    assert build_gallery([made_small(whole, 1280)], "t") == build_gallery([whole], "t")
