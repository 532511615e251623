"""What a contender is to a scenario, and how one that is a single script is run."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import bench
from bench.meter import Usage
from bench.work import Work
from worker.embedded.processes import spawn, stop

#: A run in which nothing happens for so long is broken, not slow; in seconds of real time.
STALL_S: Final = 240.0
#: How often a runner looks whether all is done, in seconds.
LOOK_S: Final = 0.2
#: The checkout: where child processes find `bench` and `worker`.
ROOT: Final = Path(bench.__file__).parents[1]

#: Called again and again while a run goes on, with the number of completed photos.
Look = Callable[[int], None]


class RunFailed(Exception):  # noqa: N818 - named after what happened
    """A contender did not do its work; the message has the end of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What one run took."""

    #: From handing the work over to the last completion, in seconds of real time.
    seconds: float
    completed: int
    #: By role: the contender's own processes are `worker` (and `gateway`); `redis` is shown apart.
    usage: Mapping[str, Usage]
    #: When each photo was handed over and completed, by number, in real ms since the epoch.
    begun_ms: Mapping[str, float] = field(default_factory=dict)
    done_ms: Mapping[str, float] = field(default_factory=dict)

    def own_cpu_s(self) -> float:
        """Return the CPU time of the contender's own processes."""
        return sum(usage.cpu_s for role, usage in self.usage.items() if role != "redis")


class Contender(Protocol):
    """Somebody who can do the work."""

    @property
    def name(self) -> str:
        """Its name on the command line and in results."""

    @property
    def title(self) -> str:
        """Its name in tables."""

    def run(self, work: Work, look: Look) -> Spent:
        """Do the whole work. Raises RunFailed."""


def nothing(_: int) -> None:
    """Look at nothing."""


def environ_of(changes: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a contender's process: nothing of this one's settings gets into it."""
    import os  # noqa: PLC0415 - read when a process is started

    kept = {name: value for name, value in os.environ.items() if not name.startswith(("STAGECREW_", "KATALO_"))}
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**kept, "PYTHONPATH": path, "C_FORCE_ROOT": "1", **changes}


def log_tail(log: Path) -> str:
    """Return the last lines of a log."""
    lines = log.read_text("utf-8", errors="replace").splitlines()[-12:]
    return "\n".join(f"  {line}" for line in lines or ["(empty)"])


class Deadline:
    """Ends a wait that has become hopeless."""

    def __init__(self, what: str, log: Path, within_s: float = STALL_S) -> None:
        """Begin to wait for `what`: for so long after each time that something has happened."""
        self._what = what
        self._log = log
        self._within_s = within_s
        self._until_s = time.monotonic() + within_s
        self._seen: object = None

    def check(self, progress: object = None) -> None:
        """Raise RunFailed when the time is over; another `progress` than last time begins it anew."""
        if progress != self._seen:
            self._seen, self._until_s = progress, time.monotonic() + self._within_s
        if time.monotonic() > self._until_s:
            raise RunFailed(f"{self._what}: nothing happens any more; the end of its log:\n{log_tail(self._log)}")


@contextmanager
def script(module: str, work: Work) -> Iterator[Callable[[Look], Spent]]:
    """Run `python -m MODULE` on the work; the block gets a function that waits for its end."""
    folder = Path(work.folder)
    log = folder / "log.txt"
    with log.open("wb") as output:
        command = [sys.executable, "-m", module]
        process = spawn(command, environ=environ_of({"BENCH_WORK": work.to_json()}), output=output)

    def wait(look: Look) -> Spent:
        deadline = Deadline(module, log)
        while process.poll() is None:
            look(done := _lines(work.completions))
            deadline.check(done)
            time.sleep(LOOK_S)
        if process.returncode != 0:
            raise RunFailed(f"{module} ended with code {process.returncode}; the end of its log:\n{log_tail(log)}")
        report = json.loads((folder / "spent.json").read_text())
        begun_ms, done_ms = read_completions(work)
        return Spent(
            seconds=report["seconds"],
            completed=len(done_ms),
            usage={"worker": Usage(**report["usage"])},
            begun_ms=begun_ms,
            done_ms=done_ms,
        )

    try:
        yield wait
    finally:
        stop(process, within_s=5)


def read_completions(work: Work) -> tuple[dict[str, float], dict[str, float]]:
    """Return when each photo was begun and completed, from the lines that a peer wrote."""
    lines = [json.loads(line) for line in work.completions.read_text().splitlines()]
    return {line["photo"]: line["begun_ms"] for line in lines}, {line["photo"]: line["done_ms"] for line in lines}


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0
