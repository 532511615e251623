"""The sandbox's page in a real browser: it shows what comes in, changes what it says, and runs nothing of it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from PIL import Image

from tests.browser.chromium import PATIENCE_MS, SHOTS
from worker.sandbox.config import SandboxConfig
from worker.sandbox.running import RunningSandbox, running_sandbox

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
NASTY = "<img src=x onerror=document.title='owned'>"
BODY = {"workflow": "staging", "capture_type": "photo", "mode": "refurnish", "style_preset": "modern"}


class Client:
    """A team that tests its integration."""

    def __init__(self, sandbox: RunningSandbox) -> None:
        headers = {"Authorization": f"Bearer {sandbox.api_key}"}
        self.http = httpx.Client(base_url=sandbox.base_url, headers=headers)
        out = io.BytesIO()
        Image.new("RGB", (96, 64), "#9ab").save(out, "JPEG")
        files = {"file": ("a.jpg", out.getvalue(), "image/jpeg")}
        ingest = self.http.post("/api/v1/source-assets", files=files, headers={"Idempotency-Key": "s"}).json()
        while (found := self.http.get(f"/api/v1/source-assets/{ingest['ingest_id']}").json())["status"] != "ready":
            pass
        self.asset = found["source_asset_id"]

    def create(self, reference: str, **metadata: str) -> dict[str, Any]:
        body = {**BODY, "source_asset_id": self.asset, "reference": reference, "metadata": metadata}
        answer = self.http.post("/api/v1/generations", json=body, headers={"Idempotency-Key": reference})
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    """A fast sandbox whose jobs never end by themselves."""
    with running_sandbox(SandboxConfig(speed=100, job_min_s=1e6, job_max_s=1e6)) as running:
        yield running


@pytest.fixture
def client(sandbox: RunningSandbox) -> Iterator[Client]:
    httpx.post(f"{sandbox.base_url}/sandbox/reset")
    made = Client(sandbox)
    yield made
    made.http.close()


@pytest.fixture(params=[PHONE, DESKTOP], ids=["phone", "desktop"])
def page(browser: Browser, sandbox: RunningSandbox, client: Client, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page with three jobs; a request for anything else, or a complaint of the browser, fails the test."""
    client.create("generation-elm-1", listing_id="elm street 12", photo_id="kitchen")
    client.create("generation-elm-2", listing_id="elm street 12", photo_id="bath")
    client.create("r" * 64, listing_id="x" * 300, photo_id=NASTY)
    context = browser.new_context(viewport=request.param)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    wanted: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda asked: wanted.append(asked.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(f"{sandbox.base_url}/")
    page.locator("#jobs tr").nth(2).wait_for()
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/sandbox-{request.param['width']}.png", full_page=True)
    yield page
    context.close()
    assert {url for url in wanted if not url.startswith(("data:", sandbox.base_url))} == set()
    # Chromium itself tells of every answer that is none of success; the page says what was wrong.
    assert [one for one in complaints if "status of 422" not in one] == []


def test_what_came_in_is_shown_as_text_and_fits_the_window(page: Page) -> None:
    assert NASTY in page.locator("#jobs").inner_text()
    assert page.title() == "Sandbox of the Katalo API"
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_every_control_has_a_name_and_headings_are_in_order(page: Page) -> None:
    assert page.get_by_role("heading", level=1).count() == 1
    unnamed = "[...document.querySelectorAll('input, select, button')].filter(one => !one.labels?.length && "
    unnamed += "!one.textContent.trim() && !one.ariaLabel).length"
    assert page.evaluate(unnamed) == 0


def test_a_fault_that_is_switched_on_here_is_in_force(page: Page, client: Client) -> None:
    page.get_by_role("checkbox", name="api_down").check()
    page.get_by_text("api_down is true").wait_for()
    assert client.http.get("/api/v1/usage/summary").status_code == 503
    share = page.get_by_role("spinbutton", name="failed_jobs")
    share.fill("12.5")
    share.press("Enter")
    page.get_by_text("failed_jobs is 12.5 %").wait_for()
    assert client.http.get("/sandbox/faults").json()["failed_jobs"] == 0.125
    page.get_by_role("button", name="Switch all faults off").click()
    page.get_by_text("All faults are off").wait_for()
    assert client.http.get("/api/v1/usage/summary").status_code == 200


def test_a_change_that_makes_no_sense_is_said(page: Page) -> None:
    share = page.get_by_role("spinbutton", name="failed_jobs")
    share.fill("300")
    share.press("Enter")
    page.get_by_text("Not changed: failed_jobs: it is a share from 0 to 1").wait_for()


def test_a_fate_chosen_here_decides_and_new_jobs_appear_by_themselves(page: Page, client: Client) -> None:
    page.get_by_role("textbox", name="pattern").fill("*attic*")
    page.get_by_role("combobox", name="fate").select_option("at_once")
    page.get_by_role("button", name="Add").click()
    page.get_by_role("button", name="Remove *attic*").wait_for()
    assert client.create("generation-attic")["status"] == "succeeded"
    page.get_by_role("row", name="generation-attic").get_by_text("succeeded").wait_for()
    page.get_by_role("button", name="Remove *attic*").click()
    page.get_by_text("*attic* has no fate any more").wait_for()
    assert client.http.get("/sandbox/fates").json() == []


def test_jobs_are_found_by_their_names(page: Page) -> None:
    page.get_by_role("searchbox").fill("BATH")
    page.get_by_text("1 job", exact=True).wait_for()
    assert page.locator("#jobs tr").count() == 1


def test_the_clock_is_pushed_and_everything_forgotten(page: Page, client: Client) -> None:
    before = client.http.get("/sandbox/overview").json()["now_ms"]
    page.get_by_role("button", name="1 hour ahead").click()
    page.get_by_text("The clock is 1 hour ahead").wait_for()
    assert client.http.get("/sandbox/overview").json()["now_ms"] - before >= 3_600_000
    page.get_by_role("button", name="Forget everything").click()
    page.get_by_text("Everything is forgotten").wait_for()
    assert page.locator("#jobs tr").count() == 0
