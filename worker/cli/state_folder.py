"""The state folder of `stagecrew run`: its own Redis, its sandbox, its logs; one run at a time.

    .stagecrew/sandbox/   a run against the sandbox      redis/  logs/  sandbox.db  run.json  lock
    .stagecrew/live/      a run against the real API     redis/  logs/              run.json  lock

The two never share a ledger: a photo that the sandbox has "staged" must not count as staged when it is meant.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from config.settings import Settings


class StateFolderBusy(Exception):  # noqa: N818 - a state, not a fault
    """Another `stagecrew run` uses the folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNote:
    """What other commands must know of a run to read its ledger."""

    redis_url: str
    speed: float
    sandbox_port: int | None = None
    #: Last completion message that was written to `completions.jsonl`.
    position: str = "0"
    #: The folder of its outputs, when that is its own choice and not a setting's.
    storage_url: str | None = None


@dataclass(frozen=True, slots=True)
class StateFolder:
    """One folder with the state of runs of one kind."""

    path: Path

    @property
    def redis(self) -> Path:
        """Folder of the Redis server's data."""
        return self.path / "redis"

    @property
    def logs(self) -> Path:
        """Folder of the processes' logs."""
        return self.path / "logs"

    @property
    def sandbox(self) -> Path:
        """File that keeps the sandbox's jobs and assets over restarts."""
        return self.path / "sandbox.db"

    def make(self) -> None:
        """Make the folders, readable by their owner only. Raises OSError."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.logs.mkdir(exist_ok=True)

    def note(self) -> RunNote | None:
        """Return what the latest run has noted; None when there was none or the note is damaged."""
        try:
            return RunNote(**json.loads((self.path / "run.json").read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def write_note(self, note: RunNote) -> None:
        """Note a run, whole or not at all."""
        new = self.path / "run.json.new"
        new.write_text(json.dumps(asdict(note)), "utf-8")
        new.replace(self.path / "run.json")

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder. Raises StateFolderBusy when another process does; a crash releases it."""
        with (self.path / "lock").open("a") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                message = (
                    f"another stagecrew command uses {self.path}; wait for its end, add photos to it with "
                    "`stagecrew enqueue`, or give this one another STAGECREW_STATE_DIR"
                )
                raise StateFolderBusy(message) from error
            yield


def folder_of(settings: Settings, *, sandbox: bool) -> StateFolder:
    """Return the folder for runs of this kind."""
    return StateFolder(settings.state_dir / ("sandbox" if sandbox else "live"))


def has_redis_url(settings: Settings) -> bool:
    """Say whether the user chose a Redis; otherwise `run` brings its own."""
    return "redis_url" in settings.model_fields_set
