"""The processes of one `stagecrew run`: the sandbox, when there is no API key, and the workers.

They end with the run, however it ends; a worker that dies is started again, a few times.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import worker
from worker.embedded.processes import spawn, stop

if TYPE_CHECKING:
    import subprocess

    from config.settings import Settings
    from worker.cli.state_folder import StateFolder

#: Until the sandbox has said its address, in seconds.
SANDBOX_START_S: Final = 20.0
#: Running steps may settle for so long before the worker is killed; the ledger's leases cover the rest.
WORKER_STOP_S: Final = 10.0
SANDBOX_STOP_S: Final = 5.0
#: All workers together are started again so often in one run.
RESTARTS: Final = 5
_TAIL_LINES: Final = 12

#: The application's root, for child processes: whatever lies in the working folder must not take its place.
_ROOT: Final = str(Path(worker.__file__).parents[1])


class CrewTrouble(Exception):  # noqa: N818 - named after what happened
    """A process does not start or keeps dying; the message has the end of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningSandbox:
    """A sandbox that answers."""

    base_url: str
    port: int
    api_key: str
    webhook_secret: str
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """End it; its jobs and assets stay in its state file."""
        stop(self.process, within_s=SANDBOX_STOP_S)


def start_sandbox(folder: StateFolder, *, speed: float, seed: int) -> RunningSandbox:
    """Start the sandbox on the state of earlier runs, on their port if it is free. Raises CrewTrouble."""
    note = folder.note()
    config = {"seed": seed, "speed": speed, "state": str(folder.sandbox)}
    ports = [note.sandbox_port, 0] if note and note.sandbox_port else [0]
    log = folder.logs / "sandbox.log"
    for port in ports:
        command = [*_python(), "-m", "worker.sandbox", "--port", str(port), "--config", json.dumps(config)]
        found, process = _first_line(command, log)
        if found is not None:
            return RunningSandbox(
                base_url=found["base_url"],
                port=int(found["base_url"].rpartition(":")[2]),
                api_key=found["api_key"],
                webhook_secret=found["webhook_secret"],
                process=process,
            )
        stop(process, within_s=0)
    message = f"the sandbox did not start; {tail(log)}"
    raise CrewTrouble(message)


def _first_line(command: list[str], log: Path) -> tuple[dict[str, Any] | None, subprocess.Popen[bytes]]:
    """Start the sandbox and return what it says when it is ready; None when it does not get there."""
    with log.open("wb") as output:
        process = spawn(command, environ=child_environ({}), output=output)
    deadline_s = time.monotonic() + SANDBOX_START_S
    while time.monotonic() < deadline_s:
        for line in log.read_text("utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                said = json.loads(line)
                if isinstance(said, dict) and "base_url" in said:
                    return said, process
        if process.poll() is not None:
            break
        time.sleep(0.05)
    return None, process


def child_environ(changes: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a child process: this one's with `changes`."""
    path = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        "PYTHONPATH": f"{_ROOT}{os.pathsep}{path}" if path else _ROOT,
        "PYTHONUNBUFFERED": "1",
        **changes,
    }


def worker_environ(settings: Settings) -> dict[str, str]:
    """Return what tells a worker these settings, secrets included: for its environment only."""
    environ = {
        "STAGECREW_REDIS_URL": settings.redis_url_text,
        "STAGECREW_BROKER_URL": settings.broker_url_text,
        "KATALO_BASE_URL": settings.katalo_base_url,
        "STAGECREW_STORAGE_URL": settings.storage_url,
        "STAGECREW_COMPLETIONS_URL": settings.completions_url.get_secret_value(),
        "STAGECREW_SPEED": f"{settings.speed:g}",
        "STAGECREW_ALLOW_PRIVATE_HOSTS": "true" if settings.allow_private_hosts else "false",
        "STAGECREW_WEBHOOK_PUBLIC_URL": settings.webhook_public_url or "",
        "STAGECREW_LOG_FORMAT": "pretty" if settings.log_format == "auto" else settings.log_format,
    }
    if settings.katalo_api_key is not None:
        environ["KATALO_API_KEY"] = settings.katalo_api_key.get_secret_value()
    return environ


@dataclass(slots=True)
class _Member:
    name: str
    log: Path
    process: subprocess.Popen[bytes]


class Crew:
    """The workers of a run."""

    def __init__(self, settings: Settings, logs: Path, sandbox: RunningSandbox | None = None) -> None:
        """`logs`: folder of their logs, written anew by each run; `sandbox` is watched with the workers."""  # noqa: D401
        self._sandbox = sandbox
        self._environ = worker_environ(settings)
        self._logs = logs
        self._members: list[_Member] = []
        self._restarts_left = RESTARTS

    def start(self, workers: int) -> None:
        """Start so many workers; must be called in the main thread, with which they end."""
        for number in range(1, workers + 1):
            name, log = f"run-{os.getpid()}-{number}", self._logs / f"worker-{number}.log"
            log.write_bytes(b"")
            self._members.append(_Member(name, log, self._spawn(name, log)))

    def check(self) -> list[str]:
        """Start dead workers again and return a line about each. Raises CrewTrouble when that does not help."""
        lines = []
        if self._sandbox is not None and self._sandbox.process.poll() is not None:
            message = f"the sandbox has ended; {tail(self._logs / 'sandbox.log')}"
            raise CrewTrouble(message)
        for member in self._members:
            code = member.process.poll()
            if code is None:
                continue
            how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
            if not self._restarts_left:
                message = f"a worker {how}, and so did those before it; {tail(member.log)}"
                raise CrewTrouble(message)
            self._restarts_left -= 1
            member.process = self._spawn(member.name, member.log)
            lines.append(f"worker {member.name} {how} and was started again; its log is {member.log}")
        return lines

    def stop(self, within_s: float = WORKER_STOP_S) -> None:
        """Ask all workers to end, wait for them, kill those that do not."""
        for member in self._members:
            if member.process.poll() is None:
                member.process.terminate()
        for member in self._members:
            stop(member.process, within_s=within_s)

    def kill(self) -> None:
        """End all workers at once; the leases of what they were doing run out."""
        for member in self._members:
            member.process.kill()

    def _spawn(self, name: str, log: Path) -> subprocess.Popen[bytes]:
        command = [*_python(), "-m", "worker.cli", "worker", "--name", name]
        with log.open("ab") as output:
            return spawn(command, environ=child_environ(self._environ), output=output)


def tail(log: Path) -> str:
    """Return where a log is and its last lines."""
    try:
        lines = log.read_text("utf-8", errors="replace").splitlines()[-_TAIL_LINES:]
    except OSError:
        lines = []
    return f"the end of {log}:\n" + "\n".join(f"  {line}" for line in lines or ["(empty)"])


def _python() -> list[str]:
    # -P: the working folder is not searched for modules.
    return [sys.executable, "-P"]
