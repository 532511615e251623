"""Where a chaos run takes place: Redis, the sandbox, the store and the sink behind proxies, workers and a gateway.

Every part is a process of its own but for the proxies, the quick store and the receiver, which share one event loop in
a thread. Everything ends with the block.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import boto3
from redis.exceptions import RedisError

from chaos.objects import Objects
from chaos.proxy import Proxy
from chaos.receiver import Receiver
from chaos.server import Server, free_port
from config.settings import Settings, load_settings
from worker.embedded.processes import spawn, stop
from worker.sandbox.config import SandboxConfig
from worker.sandbox.running import RunningSandbox, running_sandbox
from worker.services import open_ledger

ROOT: Final = Path(__file__).parents[1]
SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - opens nothing but this run's receiver
TOKEN: Final = "a-token-of-this-run-and-no-other"  # noqa: S105 - opens nothing but this run's gateway
BUCKET: Final = "photos"
#: How long a lease lasts: short, so that what a dead worker held comes back soon. In seconds.
LEASE_S: Final = 4.0
#: What a call's way may take: generous, because the machine is shared and processes are stopped.
GUARD_MS: Final = 3_000
AWS: Final = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "a-secret-of-aws",
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
}
T = TypeVar("T")


@dataclass(slots=True)
class Worker:
    """One worker process."""

    name: str
    process: subprocess.Popen[bytes]
    #: The file that libfaketime reads its clock's offset from; None: its clock is the machine's.
    clock: Path | None
    earlier_release: bool
    stopped: bool = False


@dataclass(slots=True, kw_only=True)
class Arena:
    """One run's world."""

    folder: Path
    redis: Server
    sandbox: RunningSandbox
    api: Proxy
    store: Proxy
    sink: Proxy
    source: Proxy
    receiver: Receiver
    store_port: int
    gateway_port: int
    environ: dict[str, str]
    #: Where the earlier release is unpacked; None: all run this one.
    earlier: Path | None
    #: libfaketime's library; None: no clock jumps.
    faketime: Path | None
    workers: list[Worker] = field(default_factory=list)
    gateway: subprocess.Popen[bytes] | None = None
    #: Processes that nobody killed and that ended all the same.
    ended_by_themselves: list[str] = field(default_factory=list)
    _started: int = 0

    @property
    def settings(self) -> Settings:
        """What the fleet runs with."""
        return load_settings({k: v for k, v in self.environ.items() if k.startswith(("STAGECREW_", "KATALO_"))})

    def start_worker(self) -> Worker:
        """Start one more worker: every second one of the earlier release, every fourth with a clock of its own."""
        number = self._started
        self._started += 1
        environ, cwd = dict(self.environ), ROOT
        is_earlier = self.earlier is not None and number % 2 == 1
        if is_earlier and self.earlier is not None:
            environ["PYTHONPATH"], cwd = str(self.earlier), self.earlier
        clock = None
        if self.faketime is not None and number % 4 == 0:
            clock = self.folder / f"clock-{number}"
            clock.write_text("+0")
            environ |= {
                "LD_PRELOAD": str(self.faketime),
                "FAKETIME_TIMESTAMP_FILE": str(clock),
                "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "DONT_FAKE_MONOTONIC": "1",
            }
        name = f"earlier{number}" if is_earlier else f"w{number}"
        command = [sys.executable, "-m", "celery", "--quiet", "-A", "worker.app", "worker", "-n", f"{name}@chaos"]
        process = self._spawn(name, [*command, "--without-mingle", "--without-gossip"], environ, cwd)
        worker = Worker(name=f"{name}@chaos", process=process, clock=clock, earlier_release=is_earlier)
        self.workers.append(worker)
        return worker

    def start_gateway(self) -> None:
        """Start the gateway, where the last one was."""
        command = [sys.executable, "-m", "worker.cli", "gateway", "--port", str(self.gateway_port)]
        self.gateway = self._spawn("gateway", command, self.environ, ROOT)

    def replace_ended(self) -> None:
        """Start again what ended by itself, as a supervisor does, and remember it."""
        for worker in [one for one in self.workers if one.process.poll() is not None]:
            if not worker.earlier_release:
                self.ended_by_themselves.append(f"{worker.name} ended by itself with code {worker.process.returncode}")
            self.workers.remove(worker)
            self.start_worker()
        if self.gateway is not None and self.gateway.poll() is not None:
            self.ended_by_themselves.append(f"the gateway ended by itself with code {self.gateway.returncode}")
            self.start_gateway()

    def kill(self, worker: Worker) -> None:
        """End a worker as a crash would."""
        worker.process.kill()
        worker.process.wait()
        self.workers.remove(worker)

    def kill_gateway(self) -> None:
        """End the gateway as a crash would."""
        if self.gateway is not None:
            self.gateway.kill()
            self.gateway.wait()

    def leader(self) -> Worker | None:
        """Return the worker whose dispatcher leads."""
        try:
            with self.redis.client as client:
                name = str(client.get("sc1:{default}:leader") or "")
        except RedisError:
            return None
        return next((worker for worker in self.workers if name.startswith(worker.name)), None)

    def ask(self, question: Any) -> Any:
        """Ask the ledger, as the command line does. Raises RedisError."""

        async def ask() -> Any:
            async with open_ledger(self.settings) as ledger:
                return await question(ledger)

        return asyncio.run(ask())

    def logs(self) -> Mapping[str, str]:
        """Return what the processes of this release wrote, by the names of their files."""
        logs = [log for log in sorted(self.folder.glob("log-*")) if not log.name.startswith("log-earlier")]
        return {log.name: log.read_text("utf-8", errors="replace") for log in logs}

    def _spawn(self, name: str, command: list[str], environ: Mapping[str, str], cwd: Path) -> subprocess.Popen[bytes]:
        with (self.folder / f"log-{name}.txt").open("ab") as log:
            # `spawn` starts in this folder; a release of its own is found by where it starts.
            inside = ["env", "-C", str(cwd), *command]
            return spawn(inside, environ=environ, output=log)

    def end(self) -> None:
        """End workers and gateway, those that are stopped too."""
        for worker in self.workers:
            worker.process.send_signal(signal.SIGCONT)
        for worker in self.workers:
            worker.process.send_signal(signal.SIGTERM)
        for worker in self.workers:
            stop(worker.process, within_s=20)
        if self.gateway is not None:
            stop(self.gateway, within_s=10)


@contextlib.contextmanager
def open_arena(
    folder: Path,
    *,
    seed: int,
    workers: int,
    sandbox: SandboxConfig,
    sources: Mapping[str, bytes],
    quick_store: bool,
    earlier: Path | None,
) -> Iterator[Arena]:
    """Give a running arena; `sources`: pictures by name; `quick_store`: our own small S3 instead of moto's."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        run = stack.enter_context(_loop())
        redis = Server.start(folder / "redis")
        api_server = stack.enter_context(running_sandbox(sandbox))
        receiver, objects, originals = Receiver(SECRET), Objects(), Objects(sources)
        for server in (receiver, objects, originals):
            run(server.start())
            stack.callback(_stop, run, server)
        store_port = objects.port if quick_store else stack.enter_context(_moto())
        api = Proxy("api", int(api_server.base_url.rpartition(":")[2]), seed=seed)
        store, sink = Proxy("store", store_port, seed=seed), Proxy("sink", receiver.port, seed=seed)
        source = Proxy("source", originals.port, seed=seed)
        for proxy in (api, store, sink, source):
            run(proxy.start())
            stack.callback(_stop, run, proxy)
        _make_bucket(store_port, quick=quick_store)
        gateway_port = free_port()
        arena = Arena(
            folder=folder,
            redis=redis,
            sandbox=api_server,
            api=api,
            store=store,
            sink=sink,
            source=source,
            receiver=receiver,
            store_port=store_port,
            gateway_port=gateway_port,
            environ=_environ(
                folder=folder,
                redis=redis,
                api=api_server,
                speed=sandbox.speed,
                proxies=(api, store, sink),
                gateway=gateway_port,
            ),
            earlier=earlier,
            faketime=faketime_library(),
        )
        stack.callback(redis.stop)
        stack.callback(arena.end)
        # Nothing was ever sent to this API: no window has to be waited for.
        arena.ask(lambda ledger: ledger.unused_api())
        arena.start_gateway()
        for _ in range(workers):
            arena.start_worker()
        yield arena


def faketime_library() -> Path | None:
    """Return the library that gives one process another clock, or None where it is not installed."""
    try:
        import libfaketime  # noqa: PLC0415 - only a checkout's environment has it
    except ImportError:
        return None
    found = Path(libfaketime.__file__).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"
    return found if found.exists() else None


def _environ(
    *, folder: Path, redis: Server, api: RunningSandbox, speed: float, proxies: tuple[Proxy, Proxy, Proxy], gateway: int
) -> dict[str, str]:
    to_api, to_store, to_sink = proxies
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return (
        kept
        | AWS
        | {
            "C_FORCE_ROOT": "1",
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{to_store.port}",
            "STAGECREW_REDIS_URL": redis.url,
            "STAGECREW_STORAGE_URL": f"s3://{BUCKET}",
            "STAGECREW_STATE_DIR": str(folder / "state"),
            "STAGECREW_SPEED": f"{speed:g}",
            "STAGECREW_ALLOW_PRIVATE_HOSTS": "true",
            "STAGECREW_LEASE_S": f"{LEASE_S:g}",
            "STAGECREW_GUARD_MS": str(GUARD_MS),
            "STAGECREW_LOG_LEVEL": "WARNING",
            # Unset, it starts low and is probed upwards until it is refused, where the API does not report it.
            "STAGECREW_LIMITS__INGEST_READS": "120/60s",
            "STAGECREW_SOURCE_MODE": "upload",
            "STAGECREW_COMPLETIONS_URL": f"redis+stream://done http://127.0.0.1:{to_sink.port}/hook#hook",
            "STAGECREW_COMPLETIONS_SECRET": SECRET,
            "STAGECREW_INTAKE_TOKENS": TOKEN,
            "STAGECREW_WEBHOOK_PUBLIC_URL": f"http://127.0.0.1:{gateway}/webhooks/katalo",
            "KATALO_BASE_URL": f"http://127.0.0.1:{to_api.port}",
            "KATALO_API_KEY": api.api_key,
            "KATALO_WEBHOOK_SECRET": api.webhook_secret,
        }
    )


@contextlib.contextmanager
def _loop() -> Iterator[Any]:
    """Run an event loop in a thread; gives a function that runs a coroutine on it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="chaos", daemon=True)
    thread.start()

    def run(work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result(30)

    try:
        yield run
    finally:
        run(_end_tasks())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _stop(run: Any, one: Proxy | Objects | Receiver) -> None:
    run(one.stop())


async def _end_tasks() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.contextmanager
def _moto() -> Iterator[int]:
    """Serve S3 in a process of its own."""
    port = free_port()
    process = spawn([sys.executable, "-m", "moto.server", "-p", str(port)], output=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not _listens(port):
            assert process.poll() is None, "moto did not start"
            assert time.monotonic() < deadline, "moto did not come up"
            time.sleep(0.05)
        yield port
    finally:
        stop(process, within_s=5)


def _make_bucket(port: int, *, quick: bool) -> None:
    if quick:
        return
    session = boto3.Session(AWS["AWS_ACCESS_KEY_ID"], AWS["AWS_SECRET_ACCESS_KEY"], region_name=AWS["AWS_REGION"])
    with contextlib.closing(session.client("s3", endpoint_url=f"http://127.0.0.1:{port}")) as client:
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": AWS["AWS_REGION"]})


def _listens(port: int) -> bool:
    with contextlib.closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
