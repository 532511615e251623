"""What `write_snapshot.py` kept, put back as if it had been left eleven minutes ago.

Times are whole milliseconds since the epoch in Redis: those around the moment of the snapshot are moved, wherever they
stand. Eleven minutes later leases and pauses are over, and every job that ran has ended.
"""

from __future__ import annotations

import json
import re
import sqlite3
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from redis import Redis

from tests.releases import HERE, PREVIOUS
from tests.releases.write_snapshot import SANDBOX

LATER_MS: Final = 11 * 60_000
#: Times of the snapshot are no further from it than this.
NEAR_MS: Final = 2 * 86_400_000
#: Turns are ordered by a time in microseconds.
_TIME: Final = re.compile(r"(?<![0-9A-Za-z.])(\d{13})(\d{3})?(?![0-9A-Za-z])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Midrun:
    """An unpacked snapshot."""

    folder: Path
    kept: dict[str, Any]

    def sandbox_state(self) -> Path:
        """Write the simulator's state and return its file; its clock is eleven minutes on."""
        file = self.folder / "sandbox.db"
        box = sqlite3.connect(file)
        box.executescript((self.folder / "sandbox.sql").read_text("utf-8"))
        clock = json.loads(box.execute("SELECT value FROM kept WHERE kind='clock'").fetchone()[0])
        clock |= {"api_ms": self.kept["api_ms"], "wall_ms": time.time() * 1000 - LATER_MS}
        box.execute("UPDATE kept SET value=? WHERE kind='clock'", (json.dumps(clock),))
        box.commit()
        box.close()
        return file

    def into_redis(self, url: str, *, sandbox: str) -> None:
        """Fill an empty Redis; what would have run out by now is left out. `sandbox`: where the simulator is now."""
        with Redis.from_url(url, decode_responses=True) as redis:
            seconds, micros = redis.time()  # type: ignore[misc]
            moved_ms = seconds * 1000 + micros // 1000 - LATER_MS - self.kept["at_ms"]

            def move(text: str) -> str:
                return _TIME.sub(lambda found: self._moved(found, moved_ms), text).replace(SANDBOX, sandbox)

            for key, entry in self.kept["keys"].items():
                if not 0 < entry["pttl"] <= LATER_MS:
                    _put(redis, key, entry["type"], entry["value"], move)
                    if entry["pttl"] > 0:
                        redis.pexpire(key, entry["pttl"] - LATER_MS)

    def _moved(self, found: re.Match[str], by_ms: int) -> str:
        near = abs(int(found[1]) - self.kept["at_ms"]) < NEAR_MS
        return f"{int(found[1]) + by_ms}{found[2] or ''}" if near else found[0]


def unpacked_midrun(folder: Path, version: str = PREVIOUS) -> Midrun:
    """Unpack a release's snapshot, the store and the sources, into `folder`."""
    with tarfile.open(HERE / f"midrun-{version}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return Midrun(folder=folder, kept=json.loads((folder / "redis.json").read_text("utf-8")))


def _put(redis: Any, key: str, kind: str, value: Any, move: Callable[[str], str]) -> None:
    match kind:
        case "string":
            redis.set(key, move(value))
        case "hash":
            redis.hset(key, mapping={name: move(text) for name, text in value.items()})
        case "list":
            redis.rpush(key, *map(move, value))
        case "set":
            redis.sadd(key, *value)
        case "zset":
            redis.zadd(key, {move(member): float(move(f"{score:.0f}")) for member, score in value})
        case "stream":
            for entry, fields in value:
                redis.xadd(key, {name: move(text) for name, text in fields.items()}, id=move(entry))
