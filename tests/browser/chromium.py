"""A real Chromium, where there is one: `chromium` on the PATH, or what CHROMIUM names.

While it is open, this thread has a running event loop, Playwright's: nothing in it may call `asyncio.run`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
#: A page that does not do within this what it should, is broken, not slow; in milliseconds.
PATIENCE_MS = 200_000
#: Where screenshots are left, if anywhere: SCREENSHOTS_FOLDER=/tmp/shots
SHOTS = os.environ.get("SCREENSHOTS_FOLDER")


def why_not() -> str | None:
    """Say why there is no browser to be had here, and what to do; None when there is one."""
    if CHROMIUM is None:
        return "there is no Chromium: apt-get install chromium, or name one in CHROMIUM"
    if importlib.util.find_spec("playwright") is None:
        return "there is no Playwright: make setup"
    return None


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Open a browser that asks for nothing by itself."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, "--disable-component-update"])
        yield running
        running.close()
