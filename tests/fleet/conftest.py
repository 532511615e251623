"""A fleet of real processes: Redis, the sandbox API, Celery workers; its books are held against each other."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from redis.exceptions import RedisError

from config.accounts import accounts_of
from config.settings import Settings, load_settings
from tests.lifetimes import keys_are_as_documented
from tests.schemas import hold
from worker.core.photo import ENDED, HELD, NewListing, NewPhoto, Stage
from worker.core.request import canonical_request
from worker.embedded.processes import spawn, stop
from worker.embedded.redis_server import RunningRedis, embedded_redis
from worker.ledger.snapshot import Enqueued, PhotoView, Snapshot
from worker.sandbox.config import SandboxConfig
from worker.sandbox.running import RunningSandbox, running_sandbox
from worker.services import open_ledger

SPEED = 20.0
ROOT = Path(__file__).parents[2]
#: A run that does not end within this is broken, not slow.
DEADLINE_S = 240.0


@dataclass
class Fleet:
    """One Redis, one sandbox, some workers, one store."""

    folder: Path
    redis: RunningRedis
    sandbox: RunningSandbox
    environ: dict[str, str]
    account: str = "default"
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _started: int = 0

    @property
    def settings(self) -> Settings:
        """What the workers run with."""
        return load_settings({k: v for k, v in self.environ.items() if k.startswith(("STAGECREW_", "KATALO_"))})

    def start_worker(self) -> subprocess.Popen[bytes]:
        """Start one more worker."""
        self._started += 1
        with (self.folder / f"worker-{self._started}.log").open("wb") as log:
            command = [sys.executable, "-m", "celery", "-A", "worker.app", "worker", "-n", f"w{self._started}@test"]
            worker = spawn([*command, "--without-mingle", "--without-gossip"], environ=self.environ, output=log)
        self.workers.append(worker)
        return worker

    def kill(self, worker: subprocess.Popen[bytes]) -> None:
        """End a worker as a crash would."""
        worker.kill()
        worker.wait()
        self.workers.remove(worker)

    def photos(self, count: int, *, per_listing: int = 5, **request: Any) -> list[NewListing]:
        """Return listings of real pictures, every one another."""
        (self.folder / "sources").mkdir(exist_ok=True)
        photos = []
        for number in range(count):
            source = self.folder / "sources" / f"{number}.jpg"
            Image.new("RGB", (64, 48), (number % 256, number // 256, 90)).save(source)
            asked = canonical_request(source=str(source), **({"mode": "refurnish", "style_preset": "modern"} | request))
            photos.append(NewPhoto(photo_id=f"photo {number}", request=asked, metadata={}))
        return [
            NewListing(
                listing_id=f"listing/{at}",
                partner=f"partner-{at % 3}",
                photos=tuple(photos[at : at + per_listing]),
                metadata={"run": "test"},
            )
            for at in range(0, count, per_listing)
        ]

    def enqueue(self, listings: list[NewListing]) -> list[Enqueued]:
        """Hand listings to the fleet."""
        return self._ask(lambda ledger: ledger.enqueue(listings))

    def snapshot(self) -> Snapshot:
        """Return the picture that `status` shows."""
        return self._ask(lambda ledger: ledger.snapshot())

    def held(self, stage: Stage) -> list[PhotoView]:
        """Return the photos that failed or wait for a person."""
        return self._ask(lambda ledger: ledger.photos(stage, limit=1000))

    def events(self) -> list[dict[str, Any]]:
        """Return all completion messages of the account; every one there is is held against its schema."""
        found = [json.loads(event) for _, event in self._ask(lambda ledger: ledger.completions(count=100_000))]
        for event in found:
            hold(event)
        return [event for event in found if event["data"]["account"] == self.account]

    def wait_for(
        self, what: str, true: Callable[[Snapshot], bool], meanwhile: Callable[[], None] | None = None
    ) -> None:
        """Wait until the ledger shows something; `meanwhile` is done between looks."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            # A Redis that was killed may still be reading its file.
            with contextlib.suppress(RedisError):
                snapshot = self.snapshot()
                if true(snapshot):
                    return
            assert time.monotonic() < deadline, f"{what} did not come: {self.snapshot()}\n{self.log_tail()}"
            if meanwhile is not None:
                meanwhile()
            time.sleep(0.1)

    def wait_for_all(self, count: int, meanwhile: Callable[[], None] | None = None) -> None:
        """Wait until `count` photos have ended or are held."""
        self.wait_for(f"the end of {count} photos", lambda snapshot: _over(snapshot) == count, meanwhile)

    def check_books(self, *, staged: int) -> dict[str, Any]:
        """Hold the sandbox's books, the store and the stream against each other; return the books."""
        books = self.sandbox.books()
        references = Counter(job["reference"] for job in books["jobs"])
        assert max(references.values(), default=0) <= 1, "a photo has two jobs"
        assert books["conflicts"] == 0, "a key was used with other bytes"
        assert books["peak_in_flight"] <= 50
        events = self.events()
        assert len({event["id"] for event in events}) == len(events), "something was announced twice"
        done = [event for event in events if event["type"] == "stagecrew.photo.staged.v1"]
        assert len(done) == staged
        for event in done:
            manifest = json.loads(self.stored(event["data"]["manifest"]))
            assert manifest["job_id"] == event["data"]["job_id"]
            for output in manifest["outputs"]:
                assert len(self.stored(output["name"])) == output["size_bytes"]
        snapshot = self.snapshot()
        assert (snapshot.slots_used, snapshot.leases) == (0, 0), "slots and leases all came back"
        return books

    def stagecrew(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command as an operator of this fleet would."""
        command = [sys.executable, "-m", "worker.cli", *arguments]
        return subprocess.run(command, env=self.environ, cwd=ROOT, capture_output=True, text=True, check=False)

    def stored(self, name: str) -> bytes:
        """Return an object of the account's store."""
        folder = accounts_of(self.settings)[self.account].storage_url.removeprefix("file://")
        return (Path(folder) / name).read_bytes()

    def log_tail(self) -> str:
        """Return the ends of the workers' logs."""
        logs = sorted(self.folder.glob("worker-*.log"))
        return "\n".join(f"{log.name}:\n" + "\n".join(log.read_text().splitlines()[-6:]) for log in logs[-3:])

    def logs(self) -> str:
        """Return all that the workers wrote."""
        return "\n".join(log.read_text() for log in sorted(self.folder.glob("worker-*.log")))

    def _ask(self, question: Callable[[Any], Any]) -> Any:
        async def ask() -> Any:
            async with open_ledger(self.settings, self.account) as ledger:
                return await question(ledger)

        return asyncio.run(ask())


def _over(snapshot: Snapshot) -> int:
    return sum(snapshot.stages.get(stage, 0) for stage in ENDED | HELD)


@contextlib.contextmanager
def fleets(folder: Path) -> Iterator[Callable[..., Fleet]]:
    """Build fleets in a folder: `build(workers=2, **sandbox_settings)`; all is ended at the end."""
    every: list[Fleet] = []
    with contextlib.ExitStack() as stack:

        def build(*, workers: int = 1, **sandbox: Any) -> Fleet:
            redis = stack.enter_context(embedded_redis(folder / "redis", port=free_port()))
            config = SandboxConfig(**({"speed": SPEED, "picture": "tiny"} | sandbox))
            api = stack.enter_context(running_sandbox(config))
            environ = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ} | {
                "C_FORCE_ROOT": "1",
                "STAGECREW_REDIS_URL": redis.url,
                "STAGECREW_STORAGE_URL": (folder / "output").as_uri(),
                "STAGECREW_STATE_DIR": str(folder / "state"),
                "STAGECREW_SPEED": str(config.speed),
                "STAGECREW_ALLOW_PRIVATE_HOSTS": "true",
                "STAGECREW_LEASE_S": "4",
                "KATALO_BASE_URL": api.base_url,
                "KATALO_API_KEY": api.api_key,
            }
            built = Fleet(folder=folder, redis=redis, sandbox=api, environ=environ)
            every.append(built)
            stack.callback(lambda: [stop(worker, within_s=20) for worker in built.workers])
            built._ask(lambda ledger: ledger.unused_api())
            for _ in range(workers):
                built.start_worker()
            return built

        yield build
        for built in every:
            keys_are_as_documented(built.redis.url)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    """Build a fleet: `fleet(workers=2, **sandbox_settings)`."""
    with fleets(tmp_path) as build:
        yield build


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
