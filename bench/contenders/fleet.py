"""A real stagecrew fleet for measuring: its own Redis, worker processes, and the gateway where it is asked for.

It is what scenarios use that need more of stagecrew than "do this work".
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from bench.contenders.contender import LOOK_S, Deadline, Look, RunFailed, environ_of, log_tail
from bench.work import Work
from config.settings import Settings, load_settings
from worker.core.photo import NewListing, NewPhoto, Stage
from worker.core.request import canonical_request
from worker.embedded.processes import spawn, stop
from worker.embedded.redis_server import RunningRedis, embedded_redis
from worker.ledger.snapshot import Snapshot
from worker.services import Account, open_account

#: Until all workers have said that they live, in seconds.
START_S: Final = 60.0
STOP_S: Final = 30.0
#: What "no limit" is to settings that must have one.
PLENTY: Final = "1000000/1s"
ROUTES: Final = (
    "SOURCE_ASSETS",
    "GENERATIONS",
    "REGENERATE",
    "GENERATION_READS",
    "INGEST_READS",
    "SOURCE_FETCHES",
    "USAGE",
    "BILLING",
)
T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Fleet:
    """One that runs."""

    work: Work
    redis: RunningRedis
    settings: Settings
    environ: Mapping[str, str]
    log: Path
    #: Process id -> role: `worker`, `gateway`, `redis`.
    pids: dict[int, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, role: str, *command: str) -> None:
        """Start one more process, `stagecrew COMMAND`."""
        with self.log.open("ab") as output:
            process = spawn([sys.executable, "-m", "worker.cli", *command], environ=self.environ, output=output)
        self.pids[process.pid] = role
        self.processes.append(process)

    def start_workers(self, count: int) -> None:
        """Start workers, and wait until all of them have said that they live. Raises RunFailed."""
        for _ in range(count):
            self.start("worker", "worker", "--name", f"bench-{len(self.processes)}")
        alive = sum(process.poll() is None for process in self.processes if self.pids[process.pid] == "worker")
        deadline = Deadline("stagecrew's workers", self.log, START_S)
        while len([one for one in self.snapshot().workers if one.name.startswith("bench-")]) < alive:
            deadline.check()
            time.sleep(LOOK_S)

    def stop(self) -> None:
        """Ask all processes to end, then wait for them."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            stop(process, within_s=STOP_S)

    def ask(self, question: Callable[[Account], Awaitable[T]]) -> T:
        """Ask the account something."""
        return ask(self.settings, question)

    def snapshot(self) -> Snapshot:
        """Return the picture that `stagecrew status` shows."""
        return self.ask(lambda account: account.ledger.snapshot())

    def wait(self, what: str, true: Callable[[Snapshot], bool], look: Look = lambda _: None) -> None:
        """Wait until the ledger shows something. Raises RunFailed when a photo fails or it takes for ever."""
        self.ask(lambda account: self._wait(account, what, true, look))

    async def _wait(self, account: Account, what: str, true: Callable[[Snapshot], bool], look: Look) -> None:
        deadline = Deadline(f"stagecrew: {what}", self.log)
        while not true(snapshot := await account.ledger.snapshot()):
            if bad := {stage: n for stage, n in snapshot.stages.items() if stage in {Stage.FAILED, Stage.UNCERTAIN}}:
                raise RunFailed(f"stagecrew: photos are {bad}; the end of its log:\n{log_tail(self.log)}")
            deadline.check(dict(snapshot.stages))
            # What is looked at may block for a while.
            await asyncio.to_thread(look, snapshot.stages.get(Stage.DONE, 0))
            await asyncio.sleep(LOOK_S)


def ask(settings: Settings, question: Callable[[Account], Awaitable[T]]) -> T:
    """Open the account of `settings` and ask it something."""

    async def opened() -> T:
        async with open_account(settings) as account:
            return await question(account)

    return asyncio.run(opened())


def environ_for(work: Work, redis_url: str, port: int = 0) -> dict[str, str]:
    """Return the settings of a fleet that does `work`; `port`: the gateway's."""
    environ = {
        "STAGECREW_REDIS_URL": redis_url,
        "STAGECREW_STORAGE_URL": work.output.as_uri(),
        "STAGECREW_STATE_DIR": f"{work.folder}/state",
        "STAGECREW_SPEED": f"{work.speed:g}",
        "STAGECREW_HANDS": str(work.hands),
        "STAGECREW_ALLOW_PRIVATE_HOSTS": "true",
        "STAGECREW_LOG_LEVEL": "WARNING",
        "STAGECREW_LIMITS__IN_FLIGHT": str(work.in_flight),
        "KATALO_BASE_URL": work.base_url,
        "KATALO_API_KEY": work.api_key,
        "KATALO_WEBHOOK_SECRET": work.webhook_secret,
    }
    if not work.limited:
        environ |= {f"STAGECREW_LIMITS__{route}": PLENTY for route in ROUTES}
    if work.webhooks:
        environ["STAGECREW_WEBHOOK_PUBLIC_URL"] = f"http://127.0.0.1:{port}/webhooks/katalo"
    return environ


@contextlib.contextmanager
def running_fleet(work: Work) -> Iterator[Fleet]:
    """Run a fleet while the block runs. Raises RunFailed when it does not start."""
    folder = Path(work.folder)
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(embedded_redis(folder / "redis"))
        port = _free_port() if work.webhooks else 0
        given = environ_for(work, redis.url, port)
        fleet = Fleet(
            work=work,
            redis=redis,
            settings=load_settings(given),
            environ=environ_of(given),
            log=folder / "log.txt",
            pids={redis.pid: "redis"} if redis.pid else {},
        )
        # Nothing was ever sent to this API: no window has to be waited for.
        fleet.ask(lambda account: account.ledger.unused_api())
        stack.callback(fleet.stop)
        if work.webhooks:
            fleet.start("gateway", "gateway", "--host", "127.0.0.1", "--port", str(port))
        fleet.start_workers(work.workers)
        deadline = Deadline("stagecrew's gateway", fleet.log, START_S)
        while work.webhooks and not _listens(port):
            deadline.check()
            time.sleep(LOOK_S)
        yield fleet


def listing(work: Work, *, listing_id: str = "bench", partner: str = "default", first: int = 0) -> NewListing:
    """Return the work's photos from number `first` as one listing."""
    photos = tuple(
        NewPhoto(
            photo_id=str(number),
            request=canonical_request(source=str(work.source(number)), mode="refurnish", style_preset="modern"),
            metadata={},
        )
        for number in range(first, work.photos)
    )
    return NewListing(listing_id=listing_id, partner=partner, photos=photos, metadata={})


def stream_times(entries: list[tuple[str, str]]) -> list[tuple[float, Any]]:
    """Return (when it came, in ms of Redis's clock, the event's text) of completion messages."""
    return [(float(entry_id.partition("-")[0]), event) for entry_id, event in entries]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _listens(port: int) -> bool:
    with contextlib.closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
