"""A rolling deploy: workers of the previous release and of this one on one ledger, the lead going to and fro."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.fleet.conftest import Fleet
from tests.releases import environ_of, unpacked
from worker.core.photo import Stage
from worker.embedded.processes import spawn

Build = Callable[..., Fleet]
PHOTOS = 32


class Mixed:
    """A fleet whose workers are of either release."""

    def __init__(self, crew: Fleet) -> None:
        self.crew = crew
        self.environs = {"old": environ_of(unpacked(crew.folder), crew.environ), "new": crew.environ}
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.asked = 0

    def start(self, name: str) -> None:
        """Start a worker whose name begins with its release: old-1, new-2."""
        with (self.crew.folder / f"worker-{name}.log").open("wb") as log:
            command = [sys.executable, "-m", "worker.cli", "worker", "--name", name]
            process = spawn(command, environ=self.environs[name.split("-", maxsplit=1)[0]], output=log)
        self.running[name] = process
        self.crew.workers.append(process)
        self.crew.wait_for(name, lambda found: any(one.name.startswith(f"{name}@") for one in found.workers))

    def end(self, name: str) -> None:
        """Tell a worker to end, as a deploy does."""
        process = self.running.pop(name)
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0
        self.crew.workers.remove(process)

    def leads(self, name: str) -> None:
        """Wait until a worker leads."""
        self.crew.wait_for(f"the lead of {name}", lambda found: (found.leader or "").startswith(f"{name}@"))

    def enqueue(self, release: str, photos: int) -> None:
        """Let a release's own command hand photos over."""
        records: Path = self.crew.folder / f"records-{self.asked}.jsonl"
        sources = [name for listing in self.crew.photos(self.asked + photos) for name in listing.photos]
        with records.open("w") as lines:
            for number, photo in enumerate(sources[self.asked :], start=self.asked):
                source = json.loads(photo.request.canonical_json())["source"]
                asked = {"photo_id": f"photo {number}", "source": source, "mode": "refurnish", "style_preset": "modern"}
                record = {"listing_id": f"{release}/{number // 2}", "partner": f"p{number % 3}", "photos": [asked]}
                lines.write(json.dumps(record) + "\n")
        self.asked += photos
        command = [sys.executable, "-m", "worker.cli", "enqueue", str(records)]
        done = subprocess.run(
            command, env=self.environs[release], cwd=self.crew.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def goes_on(self) -> None:
        """Wait until four more photos are done."""
        before = self.crew.snapshot().stages.get(Stage.DONE, 0)
        self.crew.wait_for("progress", lambda found: found.stages.get(Stage.DONE, 0) >= before + 4)


def test_a_fleet_of_two_releases_stages_what_both_enqueued_once_whoever_leads(fleet: Build) -> None:
    crew = fleet(workers=0, in_flight=8, job_min_s=20, job_max_s=60)
    crew.environ["STAGECREW_LIMITS__IN_FLIGHT"] = "8"
    mixed = Mixed(crew)
    mixed.start("old-1")
    mixed.leads("old-1")
    mixed.start("new-1")
    mixed.enqueue("old", PHOTOS // 2)
    mixed.enqueue("new", PHOTOS // 2)
    mixed.goes_on()
    mixed.end("old-1")
    mixed.leads("new-1")
    mixed.goes_on()  # this release alone, with what the previous one began
    mixed.start("old-2")
    mixed.end("new-1")
    mixed.leads("old-2")
    # And the other way round: the previous release ends it alone.
    crew.wait_for_all(PHOTOS)
    books = crew.check_books(staged=PHOTOS)
    assert books["jobs_created"] == PHOTOS
    assert books["refused"] == {}
    assert "Traceback" not in crew.logs()
