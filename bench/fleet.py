"""How full the slots are and what a photo costs, with real worker processes against the sandbox: `make bench`.

The API's clock runs ten times as fast, its limits are the published ones, jobs take 30 to 60 s of its time. A slot is
in use while the API itself runs a job in it; ramp-up ends with the fiftieth job, and the last create ends the measure.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from config.settings import load_settings
from worker.core.photo import NewListing, NewPhoto, Stage
from worker.core.request import canonical_request
from worker.embedded.processes import spawn, stop
from worker.embedded.redis_server import embedded_redis
from worker.sandbox.config import SandboxConfig
from worker.sandbox.running import running_sandbox
from worker.services import open_ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one run gave."""

    photos: int
    slot_use: float
    refused: int
    peak_in_flight: int
    reads_per_job: float
    detection_s: float
    cpu_ms: float
    seconds: float


def measure(photos: int, workers: int, config: SandboxConfig) -> Figures:
    """Stage `photos` photos with `workers` processes; raises RuntimeError when one is not staged."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(photos):
            Image.new("RGB", (320, 240), (number % 256, number // 256, 90)).save(folder / f"{number}.jpg")
        with embedded_redis(folder / "redis") as redis, running_sandbox(config) as sandbox:
            environ = os.environ | {
                "C_FORCE_ROOT": "1",
                "STAGECREW_REDIS_URL": redis.url,
                "STAGECREW_STORAGE_URL": (folder / "out").as_uri(),
                "STAGECREW_SPEED": str(config.speed),
                "STAGECREW_ALLOW_PRIVATE_HOSTS": "true",
                "STAGECREW_LOG_LEVEL": "WARNING",
                "KATALO_BASE_URL": sandbox.base_url,
                "KATALO_API_KEY": sandbox.api_key,
            }
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            crew = [
                spawn([sys.executable, "-m", "worker.cli", "worker", "--name", f"bench-{number}@%h"], environ=environ)
                for number in range(workers)
            ]
            try:
                seconds = asyncio.run(_run(environ, folder, photos))
            finally:
                for worker in crew:
                    stop(worker, within_s=30)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            books = sandbox.books()
    cpu_s = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
    return Figures(
        photos=photos,
        slot_use=slot_use(books["jobs"], config.in_flight),
        refused=sum(books["refused"].values()),
        peak_in_flight=books["peak_in_flight"],
        reads_per_job=books["accepted"]["generation_reads"] / len(books["jobs"]),
        detection_s=_detection_s(books["jobs"], config.in_flight),
        cpu_ms=cpu_s * 1000 / photos,
        seconds=seconds,
    )


async def _run(environ: dict[str, str], folder: Path, photos: int) -> float:
    settings = load_settings(
        {name: value for name, value in environ.items() if name.startswith(("STAGECREW", "KATALO"))}
    )
    made = tuple(
        NewPhoto(
            photo_id=str(number),
            request=canonical_request(source=str(folder / f"{number}.jpg"), mode="refurnish", style_preset="modern"),
            metadata={},
        )
        for number in range(photos)
    )
    async with open_ledger(settings) as ledger:
        await ledger.unused_api()
        await ledger.enqueue([NewListing(listing_id="bench", photos=made, metadata={})])
        began_s = time.monotonic()
        while (stages := (await ledger.snapshot()).stages).get(Stage.DONE, 0) < photos:
            if stages.get(Stage.FAILED, 0) or stages.get(Stage.UNCERTAIN, 0):
                message = f"not every photo was staged: {dict(stages)}"
                raise RuntimeError(message)
            await asyncio.sleep(0.5)
        return time.monotonic() - began_s


def slot_use(jobs: list[dict[str, Any]], slots: int) -> float:
    """Return the share of `slots` in which a job ran, between ramp-up and the last create."""
    created = sorted(job["created_ms"] for job in jobs)
    begin, end = created[slots - 1], created[-1]
    busy = sum(max(0, min(job["ends_ms"], end) - max(job["created_ms"], begin)) for job in jobs)
    return float(busy / (slots * (end - begin)))


def _detection_s(jobs: list[dict[str, Any]], slots: int) -> float:
    """Return the median time from a job's end to the create that takes its slot, in seconds of the API's time."""
    created = sorted(job["created_ms"] for job in jobs)[slots:]
    ended = sorted(job["ends_ms"] for job in jobs)[: len(created)]
    gaps = sorted(later - earlier for earlier, later in zip(ended, created, strict=True))
    return float(gaps[len(gaps) // 2] / 1000)


def main() -> None:
    """Measure and print one Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=800)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--speed", type=float, default=10.0)
    given = parser.parse_args()
    found = measure(given.photos, given.workers, SandboxConfig(speed=given.speed, picture="tiny"))
    rows = [
        ("slots in use", f"{found.slot_use:.1%}"),
        ("calls refused", str(found.refused)),
        ("most jobs in flight", str(found.peak_in_flight)),
        ("reads per job", f"{found.reads_per_job:.1f}"),
        ("from a job's end to the next create, median, API time", f"{found.detection_s:.2f} s"),
        ("CPU per photo, workers and dispatcher", f"{found.cpu_ms:.1f} ms"),
        ("photos, real time", f"{found.photos} in {found.seconds:.0f} s"),
    ]
    lines = ["| figure | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
