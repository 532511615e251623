"""The before/after page in a real browser: it needs nothing from outside, fits, and works with keys and fingers."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from worker.core.request import Request
from worker.gallery import GalleryPhoto, build_gallery

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
#: Where screenshots are left, if anywhere.
SHOTS = os.environ.get("SCREENSHOTS_FOLDER")


def picture(color: str, size: tuple[int, int] = (1200, 800)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, color).save(out, "JPEG")
    return out.getvalue()


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    staged = GalleryPhoto(
        listing_id="Elm Street 12",
        photo_id="kitchen",
        partner="acme",
        request=Request(source="file:///a.jpg", mode="refurnish", style_preset="modern", room_types=("Kitchen",)),
        before=picture("#d9d4c8"),
        after=picture("#5d7a68"),
        job_id="job_1",
    )
    wide = GalleryPhoto(
        listing_id="Elm Street 12",
        photo_id="loft 360",
        partner="acme",
        request=Request(source="file:///b.jpg", capture_type="panorama360", style_preset="modern"),
        before=picture("#cbb", (2000, 1000)),
        after=picture("#577", (2000, 1000)),
    )
    failed = GalleryPhoto(
        listing_id="x" * 1000,
        photo_id="y" * 1000,
        partner="z" * 200,
        request=Request(source="file:///c.jpg"),
        before=picture("#caa"),
        error="validation_error: " + "no such room " * 10,
    )
    path = tmp_path_factory.mktemp("page") / "gallery.html"
    path.write_text(build_gallery([staged, wide, failed], "Before and after"), encoding="utf-8")
    return path


@pytest.fixture(params=[PHONE, DESKTOP], ids=["phone", "desktop"])
def page(browser: Browser, page_file: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page, opened; a request for anything else, or a complaint of the browser, fails the test."""
    context = browser.new_context(viewport=request.param)
    page = context.new_page()
    wanted: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda asked: wanted.append(asked.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(page_file.as_uri())
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/test-{request.param['width']}.png", full_page=True)
    yield page
    context.close()
    assert [url for url in wanted if not url.startswith("data:")] == [page_file.as_uri()]
    assert complaints == []


def cut(page: Page) -> str:
    return page.locator(".photo .before").first.evaluate("image => getComputedStyle(image).clipPath")


def test_nothing_is_wider_than_the_window_whatever_the_ids(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_all_pictures_are_shown(page: Page) -> None:
    assert page.locator("img").count() == 5
    assert page.evaluate("Promise.all([...document.images].map(i => i.decode())).then(() => true)")


def test_arrow_keys_move_the_slider_and_the_picture(page: Page) -> None:
    slider = page.get_by_role("slider", name="kitchen: before and after")
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert slider.input_value() == "51"
    assert "49%" in cut(page)
    assert slider.get_attribute("aria-valuetext") == "51 percent before"
    page.keyboard.press("End")
    assert slider.input_value() == "100"


def test_dragging_on_the_picture_moves_the_slider(page: Page) -> None:
    view = page.locator(".photo .view").first
    view.scroll_into_view_if_needed()
    box = view.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 20)
    page.mouse.up()
    assert page.locator("input").first.input_value() == "25"
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    assert page.locator("input").first.input_value() == "25", "a released pointer moves nothing"


def test_a_panorama_begins_in_its_middle_and_is_dragged_to_look_around(page: Page) -> None:
    pan = page.locator(".pan").first
    pan.scroll_into_view_if_needed()
    where = "pan => [pan.scrollLeft, (pan.scrollWidth - pan.clientWidth) / 2]"
    at, middle = pan.evaluate(where)
    assert abs(at - middle) <= 1
    assert middle > 0
    box = pan.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 200, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 100, box["y"] + 30, steps=4)
    page.mouse.up()
    assert pan.evaluate(where)[0] > at


def test_the_tags_and_the_order_are_what_a_screen_reader_needs(page: Page) -> None:
    assert page.get_by_role("heading", level=1).count() == 1
    assert page.get_by_role("heading", name="kitchen").count() == 1
    assert page.locator("img:not([alt])").count() == 0
