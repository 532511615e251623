"""One run: a fresh sandbox, a fresh folder, one contender, and the books afterwards. Never two at a time."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from PIL import Image

from bench.books import Job
from bench.contenders.contender import Contender, Look, RunFailed, Spent, nothing
from bench.meter import Meter, Usage
from bench.work import Work, missing
from worker.sandbox.config import SandboxConfig
from worker.sandbox.running import RunningSandbox, running_sandbox

#: A source picture's size: small, so that what is measured is the work around it.
SOURCE_SIZE: Final = (320, 240)
#: What one worker process may do at once: stagecrew's own default, and as many threads for the chain.
HANDS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one contender's run gave."""

    photos: int
    books: dict[str, Any]
    spent: Spent
    sandbox: Usage

    @property
    def jobs(self) -> Sequence[Job]:
        """The jobs as the sandbox's books have them."""
        found: Sequence[Job] = self.books["jobs"]
        return found

    @property
    def refused(self) -> int:
        """Calls that the API refused with 429."""
        return sum(self.books["refused"].values())

    @property
    def reads_per_job(self) -> float:
        """Reads of jobs, by how many jobs there were."""
        return float(self.books["accepted"].get("generation_reads", 0) / len(self.jobs))

    @property
    def cpu_ms(self) -> float:
        """CPU time of the contender's own processes per photo, in ms; Redis is not in it."""
        return self.spent.own_cpu_s() * 1000 / self.photos

    @property
    def core_share(self) -> float:
        """How many cores the contender's own processes kept busy."""
        return self.spent.own_cpu_s() / self.spent.seconds

    @property
    def redis_cpu_ms(self) -> float | None:
        """CPU time of its Redis per photo, in ms; None where it has none."""
        redis = self.spent.usage.get("redis")
        return None if redis is None else redis.cpu_s * 1000 / self.photos

    @property
    def sandbox_share(self) -> float:
        """The share of one core that the sandbox took: near 1 it would be what is measured."""
        return self.sandbox.cpu_s / self.spent.seconds

    @property
    def peak_bytes(self) -> int:
        """The peak memory of the largest worker process."""
        return self.spent.usage["worker"].peak_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Arena:
    """Where runs take place: the folder with the sources, and what all runs share."""

    folder: Path
    workers: int

    def prepare(self, photos: int) -> None:
        """Draw the source pictures, every one another."""
        sources = self.folder / "sources"
        sources.mkdir(exist_ok=True)
        for number in range(photos):
            if not (path := sources / f"{number}.jpg").exists():
                Image.new("RGB", SOURCE_SIZE, (number % 256, number // 256 % 256, 90)).save(path)

    @contextlib.contextmanager
    def open(self, config: SandboxConfig, photos: int, **more: Any) -> Iterator[tuple[Work, RunningSandbox]]:
        """Give the work and the sandbox of one run; `more`: fields of the work."""
        self.prepare(photos)
        with tempfile.TemporaryDirectory(dir=self.folder) as folder, running_sandbox(config) as sandbox:
            work = Work(
                **{
                    "folder": folder,
                    "sources": str(self.folder / "sources"),
                    "photos": photos,
                    "base_url": sandbox.base_url,
                    "api_key": sandbox.api_key,
                    "webhook_secret": sandbox.webhook_secret,
                    "speed": config.speed,
                    "workers": self.workers,
                    "hands": HANDS,
                    "in_flight": config.in_flight,
                    "limited": not config.limits_off,
                    **more,
                }
            )
            yield work, sandbox

    def run(self, contender: Contender, config: SandboxConfig, photos: int, **more: Any) -> Run:
        """Have one contender do the whole work. Raises RunFailed when it does not."""
        with self.open(config, photos, **more) as (work, sandbox):
            return self.measure(contender, work, sandbox)

    def measure(self, contender: Contender, work: Work, sandbox: RunningSandbox, look: Look = nothing) -> Run:
        """Have one contender do the work, and hold its folder and the books against it. Raises RunFailed."""
        meter = Meter({sandbox.process.pid: "sandbox"})
        spent = contender.run(work, look)
        used = meter.read()["sandbox"]
        books = sandbox.books()
        left = missing(work, spent.completed)
        if left is None and books["jobs_created"] != work.photos:
            left = f"{books['jobs_created']} jobs for {work.photos} photos"
        if left is not None:
            raise RunFailed(f"{contender.title} did not do the whole job: {left}")
        return Run(photos=work.photos, books=books, spent=spent, sandbox=used)


@contextlib.contextmanager
def open_arena(workers: int) -> Iterator[Arena]:
    """Give an arena in a folder of its own, which is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="stagecrew-bench-") as folder:
        yield Arena(folder=Path(folder), workers=workers)
