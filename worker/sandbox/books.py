"""The simulator's own books: assets, jobs, idempotency keys, limits. They are what tests hold the client against.

What happens to a job is fixed when it is created (by the seed and its content); its state is a function of the clock.
"""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from worker.sandbox.config import SandboxConfig
from worker.sandbox.fates import Fate

WINDOW_MS: Final = 60_000
KEYS_LIVE_MS: Final = 24 * 3_600_000
#: How long a job runs that never ends.
NEVER_MS: Final = 100 * 365 * 86_400_000.0


@dataclass(slots=True, kw_only=True)
class Asset:
    """A source that was taken in, or is being."""

    ingest_id: str
    asset_id: str
    sha256: str
    created_ms: int
    ready_ms: int
    failure: str | None
    content_type: str
    #: What the uploaded file was called; empty: it had no name, or came by its address.
    file_name: str = ""
    #: When an answer first said that it was over.
    seen_ms: int | None = None


@dataclass(slots=True, kw_only=True)
class Job:
    """A generation job, with its fate."""

    job_id: str
    asset_id: str
    sha256: str
    settings: dict[str, Any]
    reference: str | None
    metadata: dict[str, Any] | None
    webhook_url: str | None
    key: str
    created_ms: int
    ends_ms: int
    fails: bool
    alternate: bool
    parent: str | None = None
    #: When an answer or a delivered webhook first told its end, and when the first delivery began.
    seen_ms: int | None = None
    notified_ms: int | None = None
    #: An approved result of the same source and settings was there already.
    cached: bool = False
    billed_twice: bool = False


@dataclass(slots=True, kw_only=True)
class Key:
    """An idempotency key: what it was used with, and what it made."""

    payload: str
    made: str
    used_ms: int


@dataclass(slots=True)
class Tally:
    """Counts of this process's life."""

    accepted: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    replays: int = 0
    conflicts: int = 0
    peak_in_flight: int = 0
    webhooks: Counter[str] = field(default_factory=Counter)


class Books:
    """Everything the simulator knows. One thread uses it."""

    def __init__(self, config: SandboxConfig) -> None:
        """Open the state file, or memory."""
        self.config = config
        self.tally = Tally()
        self.assets: dict[str, Asset] = {}
        self._by_asset: dict[str, Asset] = {}
        self.jobs: dict[str, Job] = {}
        self.keys: dict[str, Key] = {}
        self._ends: list[int] = []
        self._windows: dict[str, deque[int]] = {}
        self._db = sqlite3.connect(config.state or ":memory:", isolation_level=None, check_same_thread=False)
        self._db.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
            "CREATE TABLE IF NOT EXISTS kept (kind TEXT, id TEXT, value TEXT, PRIMARY KEY (kind, id));"
            "CREATE TABLE IF NOT EXISTS content (sha256 TEXT PRIMARY KEY, data BLOB);"
        )
        self._load()

    def now_ms(self) -> int:
        """Return the time by the API's clock, in ms."""
        return int(self._origin_api_ms + (time.time() * 1000 - self._origin_wall_ms) * self.config.speed)

    def advance(self, ms: int) -> None:
        """Let the API's clock jump ahead."""
        self._origin_api_ms += ms
        self._keep_clock()

    def change(self, config: SandboxConfig) -> None:
        """Go on with another config; the clock goes on from where it is, at the new speed."""
        now_ms = self.now_ms()
        self._origin_wall_ms, self._origin_api_ms = time.time() * 1000, float(now_ms)
        self.config = config
        self._keep_clock()

    def reset(self, config: SandboxConfig) -> None:
        """Forget everything and begin anew with `config`; the clock is the wall's again."""
        self._db.execute("DELETE FROM kept")
        self._db.execute("DELETE FROM content")
        for known in (self.assets, self._by_asset, self.jobs, self.keys, self._windows):
            known.clear()
        self.tally = Tally()
        self.config = config
        self._load()

    def used(self, route: str) -> int:
        """Return how many calls of a route's window are taken now."""
        after_ms = self.now_ms() - WINDOW_MS
        return sum(at_ms > after_ms for at_ms in self._windows.get(route, ()))

    def _load(self) -> None:
        wall_ms = time.time() * 1000
        found = self._db.execute("SELECT value FROM kept WHERE kind='clock'").fetchone()
        self._origin_wall_ms, self._origin_api_ms = wall_ms, wall_ms
        if found:
            old = json.loads(found[0])
            self._origin_api_ms = old["api_ms"] + (wall_ms - old["wall_ms"]) * old["speed"]
        self._keep_clock()
        for kind, id_, value in self._db.execute("SELECT kind, id, value FROM kept"):
            if kind == "asset":
                self.assets[id_] = Asset(**json.loads(value))
                self._by_asset[self.assets[id_].asset_id] = self.assets[id_]
            elif kind == "job":
                self.jobs[id_] = Job(**json.loads(value))
            elif kind == "key":
                self.keys[id_] = Key(**json.loads(value))
        self._ends = sorted(job.ends_ms for job in self.jobs.values())

    def _keep_clock(self) -> None:
        at = {"wall_ms": self._origin_wall_ms, "api_ms": self._origin_api_ms, "speed": self.config.speed}
        self._keep("clock", "", at)

    def _keep(self, kind: str, id_: str, value: Mapping[str, Any]) -> None:
        self._db.execute("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", (kind, id_, json.dumps(value)))

    def content(self, sha256: str) -> bytes | None:
        """Return the bytes of a source."""
        found = self._db.execute("SELECT data FROM content WHERE sha256=?", (sha256,)).fetchone()
        return bytes(found[0]) if found else None

    def wait_ms(self, route: str) -> int:
        """Take one call of a route's window; 0, or how long until one is free (then none is taken)."""
        if self.config.limits_off:
            return 0
        now, window = self.now_ms(), self._windows.setdefault(route, deque())
        while window and window[0] <= now - WINDOW_MS:
            window.popleft()
        if len(window) >= self.config.limits[route]:
            return window[0] + WINDOW_MS - now
        window.append(now)
        return 0

    def in_flight(self) -> int:
        """Return how many jobs run now."""
        now = self.now_ms()
        del self._ends[: bisect_left(self._ends, now)]
        return len(self._ends)

    def key(self, key: str) -> Key | None:
        """Return what a key was used for within the last 24 hours."""
        found = self.keys.get(key)
        return found if found and self.now_ms() - found.used_ms < KEYS_LIVE_MS else None

    def new_asset(
        self, key: str, payload: str, data: bytes, content_type: str, failure: str | None, *, file_name: str = ""
    ) -> Asset:
        """Take a source in."""
        sha256 = hashlib.sha256(data).hexdigest()
        dice = self.dice("ingest", sha256, key)
        now = self.now_ms()
        takes_ms = dice.uniform(self.config.ingest_min_s, self.config.ingest_max_s) * 1000
        number = len(self.assets) + 1
        asset = Asset(
            ingest_id=f"ing_{_id(self.config.seed, 'i', number)}",
            asset_id=f"src_{_id(self.config.seed, 's', number)}",
            sha256=sha256,
            created_ms=now,
            ready_ms=int(now + takes_ms),
            failure=failure,
            content_type=content_type,
            file_name=file_name,
        )
        if failure is None:
            self._db.execute("INSERT OR IGNORE INTO content VALUES (?, ?)", (sha256, data))
        self.assets[asset.ingest_id] = asset
        self._by_asset[asset.asset_id] = asset
        self._keep("asset", asset.ingest_id, asdict(asset))
        self._use(key, payload, asset.ingest_id)
        return asset

    def new_job(
        self,
        key: str,
        payload: str,
        asset: Asset,
        body: Mapping[str, Any],
        parent: str | None = None,
        *,
        fate: Fate | None = None,
    ) -> Job:
        """Start a job; `fate`: what somebody chose for it."""
        names = ("workflow", "capture_type", "mode", "room_types", "style_preset", "include_alternates")
        settings = {name: body[name] for name in names if name in body}
        dice = self.dice("job", asset.sha256, json.dumps(settings, sort_keys=True), key)
        now = self.now_ms()
        cached = self.config.cache_hits and parent is None and self._made_before(asset.sha256, settings, now)
        runs_ms = 0.0 if cached else dice.uniform(self.config.job_min_s, self.config.job_max_s) * 1000
        fails = not cached and dice.random() < self.config.faults.failed_jobs
        if fate is not None:
            fails = fate is Fate.FAILS
            runs_ms = {Fate.AT_ONCE: 0.0, Fate.NEVER_ENDS: NEVER_MS}.get(fate, runs_ms)
        job = Job(
            job_id=f"gen_{_id(self.config.seed, 'j', len(self.jobs) + 1)}",
            asset_id=asset.asset_id,
            sha256=asset.sha256,
            settings=settings,
            reference=body.get("reference"),
            metadata=body.get("metadata"),
            webhook_url=(body.get("webhook") or {}).get("url"),
            key=key,
            created_ms=now,
            ends_ms=int(now + runs_ms),
            fails=fails,
            alternate=bool(settings.get("include_alternates")) and dice.random() < 0.5,  # noqa: PLR2004
            parent=parent,
            cached=cached,
            billed_twice=self.dice("bill", key).random() < self.config.faults.double_bills,
        )
        self.jobs[job.job_id] = job
        self._keep("job", job.job_id, asdict(job))
        self._use(key, payload, job.job_id)
        self._ends.insert(bisect_left(self._ends, job.ends_ms), job.ends_ms)
        self.tally.peak_in_flight = max(self.tally.peak_in_flight, self.in_flight())
        return job

    def end_now(self, job: Job) -> None:
        """Let a job be over, as one whose result was there already."""
        self._ends.remove(job.ends_ms)
        job.ends_ms = self.now_ms()
        self._keep("job", job.job_id, asdict(job))

    def _made_before(self, sha256: str, settings: dict[str, Any], now_ms: int) -> bool:
        return any(
            job.sha256 == sha256 and job.settings == settings and state_of(job, now_ms) == "succeeded"
            for job in self.jobs.values()
        )

    def asset_of(self, asset_id: str) -> Asset | None:
        """Return a source that is ready, by its `source_asset_id`."""
        asset = self._by_asset.get(asset_id)
        return asset if asset and asset.failure is None and asset.ready_ms <= self.now_ms() else None

    def tell(self, job: Job) -> None:
        """Note that the client is told of a job's state now."""
        if job.seen_ms is None and (now := self.now_ms()) >= job.ends_ms:
            job.seen_ms = now

    def tell_ingest(self, asset: Asset) -> None:
        """Note that the client is told of an ingest's state now."""
        if asset.seen_ms is None and (now := self.now_ms()) >= asset.ready_ms:
            asset.seen_ms = now

    def dice(self, *parts: str) -> random.Random:
        """Return a source of chance that is the same for the same seed and parts."""
        text = "|".join((str(self.config.seed), *parts))
        return random.Random(hashlib.sha256(text.encode()).digest())  # noqa: S311 - a simulator's fate, not a secret

    def report(self) -> dict[str, Any]:
        """Return the books for tests and people: every job, every refusal, the peak."""
        now = self.now_ms()
        return {
            "now_ms": now,
            "wall_ms": time.time() * 1000,
            "jobs": [asdict(job) | {"status": state_of(job, now)} for job in self.jobs.values()],
            "jobs_created": len(self.jobs),
            "assets": len(self.assets),
            "ingests": [
                {name: getattr(asset, name) for name in ("asset_id", "created_ms", "ready_ms", "seen_ms")}
                for asset in self.assets.values()
            ],
            "in_flight": self.in_flight(),
            "peak_in_flight": self.tally.peak_in_flight,
            "accepted": dict(self.tally.accepted),
            "refused": dict(self.tally.refused),
            "faults": dict(self.tally.faults),
            "replays": self.tally.replays,
            "conflicts": self.tally.conflicts,
            "webhooks": dict(self.tally.webhooks),
        }

    def _use(self, key: str, payload: str, made: str) -> None:
        used = Key(payload=payload, made=made, used_ms=self.now_ms())
        self.keys[key] = used
        self._keep("key", key, asdict(used))


def state_of(job: Job, now_ms: int) -> str:
    """Return `running`, `succeeded` or `failed`."""
    if now_ms < job.ends_ms:
        return "running"
    return "failed" if job.fails else "succeeded"


def _id(seed: int, kind: str, number: int) -> str:
    return hashlib.sha256(f"{seed}{kind}{number}".encode()).hexdigest()[:24].upper()
