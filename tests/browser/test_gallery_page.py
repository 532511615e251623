"""The before/after page in a real browser: offline, at any size, by eye, by finger, by keys and by screen reader."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image, ImageDraw

from tests.browser.chromium import PATIENCE_MS, SHOTS
from worker.core.request import Request
from worker.gallery import GalleryPhoto, Place, build_gallery

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1440, "height": 900}
NASTY = '"><script>alert(1)</script><img src=x onerror=alert(2)>&lt;'


def picture(color: str, size: tuple[int, int] = (1200, 800)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, color).save(out, "JPEG")
    return out.getvalue()


def panorama() -> bytes:
    """All directions in grey, a red board straight ahead and a blue one behind, over the picture's ends."""
    image, out = Image.new("RGB", (720, 360), "grey"), io.BytesIO()
    draw = ImageDraw.Draw(image)
    draw.rectangle((340, 160, 380, 200), "red")
    for left in (-20, 700):
        draw.rectangle((left, 160, left + 40, 200), "blue")
    image.save(out, "PNG")
    return out.getvalue()


STAGED = GalleryPhoto(
    listing_id="Elm Street 12",
    photo_id="kitchen",
    partner="acme",
    request=Request(source="file:///a.jpg", mode="refurnish", style_preset="modern", room_types=("Kitchen",)),
    before=picture("#d9d4c8"),
    after=picture("#5d7a68"),
    job_id="job_1",
    created_at="2026-05-04T03:01:01Z",
    staged_at="2026-05-04T03:02:01Z",
    cost="0.90 USD, as billed",
)
ROUND = GalleryPhoto(
    listing_id="Elm Street 12",
    photo_id="loft 360",
    partner="acme",
    request=Request(source="file:///b.jpg", capture_type="panorama360", style_preset="modern"),
    before=picture("#fff", (720, 360)),
    after=panorama(),
)
#: A panorama that does not hold all directions.
WIDE = GalleryPhoto(
    listing_id="Elm Street 12",
    photo_id="terrace",
    partner="acme",
    request=Request(source="file:///b.jpg", capture_type="panorama360"),
    after=picture("#577", (2000, 500)),
    missing="the file is gone",
)
FAILED = GalleryPhoto(
    listing_id=NASTY + "x" * 900,
    photo_id=NASTY + "y" * 900,
    partner=NASTY + "z" * 200,
    request=Request(source="file:///c.jpg", style_preset=NASTY),
    before=picture("#caa"),
    error="validation_error: " + "no such room " * 10 + NASTY,
    remedy="Mend it; then `stagecrew replay elm/kitchen` tries again.",
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two pages of one gallery."""
    folder = tmp_path_factory.mktemp("page")
    files = [folder / "gallery.html", folder / "gallery-2.html"]
    names = tuple(file.name for file in files)
    first = Place(number=1, names=names, photos=5, elsewhere=(("Oak Lane 1", "gallery-2.html#listing-0"),))
    oak = GalleryPhoto(listing_id="Oak Lane 1", photo_id="hall", partner="acme", request=STAGED.request, after=b"?")
    files[0].write_text(build_gallery([STAGED, ROUND, WIDE, FAILED], "Before and after", first), encoding="utf-8")
    last = Place(number=2, names=names, photos=5)
    files[1].write_text(build_gallery([oak], "Before and after", last), encoding="utf-8")
    return files


@pytest.fixture(params=[PHONE, DESKTOP], ids=["phone", "desktop"])
def page(browser: Browser, files: list[Path], request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page, opened with no network; whatever it asks for besides itself, or complains of, fails the test."""
    context = browser.new_context(viewport=request.param, offline=True)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    wanted: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda asked: wanted.append(asked.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.goto(files[0].as_uri())
    yield page
    context.close()
    ours = {file.as_uri() for file in files}
    assert [url for url in wanted if not url.startswith("data:") and url.partition("#")[0] not in ours] == []
    assert complaints == []


def cut(page: Page) -> str:
    return str(page.locator(".photo .before").first.evaluate("image => getComputedStyle(image).clipPath"))


#: Gives the colour at half the panorama's height, as a word; `x` is from 0 to 1.
COLOUR = """([canvas, x]) => {
  const pen = canvas.getContext('2d');
  const [red, green, blue, opaque] = pen.getImageData(x * canvas.width, canvas.height / 2, 1, 1).data;
  if (!opaque) return 'nothing';
  return red > 2 * blue ? 'red' : blue > 2 * red ? 'blue' : Math.min(red, green, blue) > 200 ? 'white' : 'grey';
}"""


def seen(page: Page, x: float, wanted: str) -> None:
    """Wait until the panorama shows a colour; it draws when the browser is ready to."""
    canvas = page.locator(".pano canvas").first
    page.wait_for_function(
        f"([canvas, x, wanted]) => ({COLOUR})([canvas, x]) === wanted", arg=[canvas.element_handle(), x, wanted]
    )


def test_nothing_is_wider_than_the_window_and_every_picture_is_shown(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.locator("img").count() == 6
    for image in page.locator("article > img, .photo figure img, .pan img").all():
        # They are read when one comes to them.
        image.scroll_into_view_if_needed()
        page.wait_for_function("image => image.complete && image.naturalWidth > 0", arg=image.element_handle())
    page.evaluate("scrollTo(0, 0)")
    assert page.get_by_text("The photo as taken can't be shown here: the file is gone").is_visible()
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/gallery-{page.viewport_size['width']}.png")


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


def test_a_panorama_is_a_window_that_turns_all_the_way_round(page: Page) -> None:
    canvas = page.locator(".pano canvas").first
    canvas.scroll_into_view_if_needed()
    page.get_by_role("slider", name="loft 360").fill("0")
    seen(page, 0.5, "red")
    seen(page, 0.1, "grey")
    canvas.focus()
    for _ in range(18):
        page.keyboard.press("ArrowRight")
    seen(page, 0.5, "blue")
    page.keyboard.press("Home")
    seen(page, 0.5, "red")
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 30, steps=4)
    page.mouse.up()
    seen(page, 0.8, "red")


def test_a_finger_turns_a_panorama(page: Page) -> None:
    canvas = page.locator(".pano canvas").first
    canvas.scroll_into_view_if_needed()
    page.get_by_role("slider", name="loft 360").fill("0")
    seen(page, 0.5, "red")
    box = canvas.bounding_box()
    assert box is not None
    hand = page.context.new_cdp_session(page)
    x, y, width = box["x"], box["y"] + 60, box["width"]
    for kind, at in (("touchStart", [0.4]), ("touchMove", [0.5]), ("touchMove", [0.7]), ("touchEnd", [])):
        points = [{"x": x + part * width, "y": y} for part in at]
        hand.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    seen(page, 0.8, "red")


def test_the_slider_of_a_panorama_shows_before_beside_after(page: Page) -> None:
    page.locator(".pano canvas").first.scroll_into_view_if_needed()
    page.get_by_role("slider", name="loft 360").fill("90")
    seen(page, 0.5, "white")
    seen(page, 0.95, "grey")


def test_a_wide_picture_that_is_no_panorama_begins_in_its_middle_and_is_dragged(page: Page) -> None:
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


def test_pages_lead_to_each_other_and_listings_to_their_pages(page: Page) -> None:
    page.get_by_role("navigation", name="Listings").get_by_role("link", name="Oak Lane 1").click()
    page.get_by_role("heading", name="Oak Lane 1").wait_for()
    page.get_by_role("navigation", name="Pages", exact=True).get_by_role("link", name="1").click()
    page.get_by_role("heading", name="Elm Street 12").wait_for()


def problems(page: Page) -> list[str]:
    """Return what axe-core finds, WCAG 2.2 AA and good practice."""
    from axe_playwright_python.sync_playwright import Axe

    found: dict[str, Any] = Axe().run(page).response
    assert found["passes"], "it looked"
    return [f"{one['id']}: {[node['target'] for node in one['nodes']]}" for one in found["violations"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_to_mend(browser: Browser, files: list[Path], scheme: Any) -> None:
    # The checker's own code is put into the page, which the page's policy forbids to all but its own.
    context = browser.new_context(
        viewport=DESKTOP, color_scheme=scheme, reduced_motion="reduce", offline=True, bypass_csp=True
    )
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(files[0].as_uri())
    assert problems(page) == []
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto", "no motion"
    assert page.locator("html").get_attribute("lang") == "en"
    context.close()


def test_without_scripts_every_picture_is_still_there(browser: Browser, files: list[Path]) -> None:
    context = browser.new_context(java_script_enabled=False, offline=True)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(files[0].as_uri())
    assert page.locator(".pano .picture").first.is_visible()
    assert page.get_by_role("heading", name="kitchen").is_visible()
    context.close()
