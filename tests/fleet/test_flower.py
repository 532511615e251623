"""Flower, started with the app, shows every step by its name and by the photos in its arguments and its result."""

from __future__ import annotations

import base64
import json
import re
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.chromium import PATIENCE_MS, SHOTS, chromium, why_not
from tests.fleet.conftest import DEADLINE_S, fleets, free_port
from worker.core.photo import StepName
from worker.embedded.processes import spawn, stop

if TYPE_CHECKING:
    from playwright.sync_api import Page

#: Enough for batches of many photos.
PHOTOS, PER_LISTING = 40, 4
LISTING = "listing/8"
PASSWORD = "somebody:knows-it"


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A Flower that has seen a fleet stage its photos, and what is secret there."""

    address: str
    secret: str = field(repr=False)
    tasks: list[dict[str, Any]]


def ask(address: str, path: str, user: str = PASSWORD) -> Any:
    """Return what Flower answers; None while it is still starting."""
    request = urllib.request.Request(f"{address}{path}")
    request.add_header("Authorization", f"Basic {base64.b64encode(user.encode()).decode()}")
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer) if path.startswith("/api") else answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except (urllib.error.URLError, ConnectionError):
        return None


def until(what: str, true: Callable[[], bool]) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    folder = tmp_path_factory.mktemp("flower")
    with fleets(folder) as build:
        crew = build(workers=0)
        address = f"http://127.0.0.1:{(port := free_port())}"
        # Alone on this machine there is no need of a password; a fleet has one.
        environ = crew.environ | {"STAGECREW_FLOWER_AUTH": PASSWORD}
        with (folder / "flower.log").open("wb") as log:
            command = [sys.executable, "-m", "celery", "-A", "worker.app", "flower", "--conf=config/flowerconfig.py"]
            flower = spawn([*command, f"--port={port}", "--address=127.0.0.1"], environ=environ, output=log)
        try:
            until("Flower", lambda: ask(address, "/healthcheck") == 200)
            crew.enqueue(crew.photos(PHOTOS, per_listing=PER_LISTING))
            crew.start_worker()
            crew.wait_for_all(PHOTOS)
            names = {f"stagecrew.{step}" for step in StepName}

            def tasks() -> list[dict[str, Any]]:
                return list(ask(address, "/api/tasks?limit=2000").values())

            until("every step's end", lambda: {t["name"] for t in tasks() if t["state"] == "SUCCESS"} == names)
            yield Shown(address=address, secret=crew.sandbox.api_key, tasks=tasks())
        finally:
            stop(flower, within_s=10)


def test_flower_shows_steps_by_name_and_every_photo_of_a_batch(shown: Shown) -> None:
    assert max(task["args"].count(",\n") + 1 for task in shown.tasks) >= 16, "there are batches"
    for task in shown.tasks:
        photos = task["args"].split(",\n")
        assert all(photo.startswith("listing/") and "/photo " in photo for photo in photos)
        if task["state"] == "SUCCESS":
            assert all(f"'{photo}': " in task["result"] for photo in photos)


def test_flower_shows_no_secret(shown: Shown) -> None:
    everything = json.dumps(shown.tasks)
    assert shown.secret not in everything
    assert "signature=" not in everything


def test_flower_with_a_password_lets_nobody_in_without_it(shown: Shown) -> None:
    assert ask(shown.address, "/tasks", user="somebody:guesses") == 401


@pytest.fixture
def page(shown: Shown) -> Iterator[Page]:
    """Flower's page, opened; a complaint of the browser fails the test."""
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    user, _, password = PASSWORD.partition(":")
    with chromium() as browser:
        context = browser.new_context(
            viewport={"width": 1440, "height": 900}, http_credentials={"username": user, "password": password}
        )
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page
        context.close()
        assert complaints == []


def test_a_staged_listing_is_found_by_its_id_in_flowers_own_search(shown: Shown, page: Page) -> None:
    page.goto(f"{shown.address}/tasks")
    rows = page.locator("#tasks-table tbody tr")
    search = page.get_by_role("searchbox")
    for step in StepName:
        search.fill(f'"{LISTING}/" name:stagecrew.{step}')
        rows.filter(has_text=f"stagecrew.{step}").first.wait_for()
    search.fill(f'"{LISTING}/"')
    rows.filter(has_text="stagecrew.announce").first.wait_for()
    assert all(f"{LISTING}/photo" in row for row in rows.all_text_contents())
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/flower.png")
    rows.filter(has_text="stagecrew.announce").first.locator("td:nth-child(2) a").click()
    page.wait_for_url("**/task/*")
    result = page.locator("dd:right-of(dt:text-is('Result'))").first
    assert re.search(rf"^{LISTING}/photo \d+: go done$", result.inner_text(), re.MULTILINE), "a line a photo"
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/flower-task.png", full_page=True)
    page.goto(f"{shown.address}/workers")
    page.get_by_role("link", name="w1@test").first.wait_for()
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/flower-workers.png", full_page=True)
