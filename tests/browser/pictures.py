"""Takes the documents' pictures anew: `make pictures`. What they show is real: Flower, a run's gallery, a sandbox."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from tests.browser.chromium import chromium, why_not
from tests.browser.test_sandbox_page import Client
from worker.sandbox.config import Faults, SandboxConfig
from worker.sandbox.running import running_sandbox

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pictures"
WIDTH = 1080


def main() -> None:
    """Write the pictures, small enough for a document."""
    if (reason := why_not()) is not None:
        sys.exit(reason)
    with tempfile.TemporaryDirectory() as folder:
        flower = [sys.executable, "-m", "pytest", "-q", "tests/fleet/test_flower.py"]
        subprocess.run(flower, cwd=ROOT, env=os.environ | {"SCREENSHOTS_FOLDER": folder}, check=True)
        records = ROOT / "examples" / "listings.jsonl"
        run = [sys.executable, "-m", "worker.cli", "run", str(records), "--plain", "--speed", "40"]
        subprocess.run(run, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)
        page_file = Path(folder, "stagecrew-output", "sandbox", "gallery.html")
        with chromium() as browser:
            for name, width, height in (("gallery", 1440, 900), ("gallery-phone", 390, 844)):
                page = browser.new_page(viewport={"width": width, "height": height})
                page.goto(page_file.as_uri())
                # The second listing has furniture on its first screen.
                page.locator("section").nth(1).scroll_into_view_if_needed()
                page.locator("section").nth(1).evaluate("section => section.scrollIntoView({ behavior: 'instant' })")
                page.wait_for_timeout(1000)
                page.screenshot(path=f"{folder}/{name}.png")
            _take_sandbox(browser, f"{folder}/sandbox.png")
        for name in ("flower", "gallery", "gallery-phone", "sandbox"):
            # A page without photos has few colours, and all of them mean something.
            method = Image.Quantize.FASTOCTREE if name == "sandbox" else Image.Quantize.MEDIANCUT
            _shrink(Path(folder, f"{name}.png"), PICTURES / f"{name}.png", method)


def _take_sandbox(browser: Browser, path: str) -> None:
    """Take the page of a sandbox with which a team tries its program."""
    fates = [{"pattern": "*kitchen*", "fate": "fails"}, {"pattern": "*street_2-bath", "fate": "never_ends"}]
    with running_sandbox(SandboxConfig(speed=20, fates=fates, faults=Faults(failed_jobs=0.2))) as sandbox:
        team = Client(sandbox)
        for number in (1, 2):
            for room in ("living-room", "bath", "kitchen"):
                names = {"listing_id": f"elm-street-{number}", "photo_id": room, "partner": "acme"}
                team.create(f"generation-elm_street_{number}-{room}", **names)
        team.http.close()
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(sandbox.base_url)
        for state in ("succeeded", "failed", "running"):
            page.locator(f"#jobs .{state}").first.wait_for()
        page.screenshot(path=path, full_page=True)


def _shrink(taken: Path, kept: Path, method: Image.Quantize) -> None:
    image = Image.open(taken).convert("RGB")
    image.thumbnail((WIDTH, 3 * WIDTH))
    kept.parent.mkdir(exist_ok=True)
    image.quantize(256, method).save(kept, optimize=True)


if __name__ == "__main__":
    main()
