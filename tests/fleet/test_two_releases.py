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
SLOTS = 6
#: Jobs that are in flight while the lead changes take so long, in seconds of the API's time.
HOLD_S = 20_000


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

    def in_the_middle(self, *, old: int, new: int) -> None:
        """Enqueue photos by both releases and wait until all slots are taken, by jobs that do not end meanwhile."""
        self.crew.sandbox.configure(job_min_s=HOLD_S, job_max_s=HOLD_S)
        self.enqueue("old", old)
        self.enqueue("new", new)
        self.crew.wait_for("full slots", lambda found: found.stages.get(Stage.GENERATING, 0) == SLOTS)

    def to_the_end(self) -> None:
        """Let the jobs end, and wait for all photos."""
        self.crew.sandbox.configure(job_min_s=10, job_max_s=20)
        self.crew.sandbox.advance(HOLD_S)
        self.crew.wait_for_all(self.asked)


def test_what_either_release_began_the_other_ends_once_whoever_leads(fleet: Build) -> None:
    crew = fleet(workers=0, in_flight=SLOTS)
    crew.environ["STAGECREW_LIMITS__IN_FLIGHT"] = str(SLOTS)
    mixed = Mixed(crew)
    mixed.start("old-1")
    mixed.leads("old-1")
    mixed.start("new-1")
    mixed.in_the_middle(old=8, new=4)
    mixed.end("old-1")
    mixed.leads("new-1")
    mixed.to_the_end()
    mixed.start("old-2")
    mixed.in_the_middle(old=4, new=8)
    mixed.end("new-1")
    mixed.leads("old-2")
    mixed.to_the_end()
    books = crew.check_books(staged=mixed.asked)
    assert books["jobs_created"] == mixed.asked
    assert books["refused"] == {}
    assert "Traceback" not in crew.logs()
