"""A ledger in memory behind the CLI's own seam: commands run whole, and nothing is patched."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from click.testing import Result
from redis.exceptions import ConnectionError as RedisConnectionError
from typer.testing import CliRunner

from config.settings import Settings, load_settings
from worker.cli import app
from worker.cli.doors import Doors
from worker.cli.finding import Check, Finding, ok
from worker.core.forecast import Rates, Waiting
from worker.core.identity import fingerprint, photo_key
from worker.core.photo import ENDED, HELD, NewListing, NewPhoto, Stage
from worker.core.request import Request
from worker.flow.outlook import Prospect
from worker.ledger.snapshot import BudgetView, Enqueued, PhotoView, Snapshot, Verdict, WorkerView


def snapshot(**changes: Any) -> Snapshot:
    plain = Snapshot(
        account="default",
        now_ms=1_000_000,
        stages={},
        partners={},
        slots_used=0,
        slots_cap=50,
        budgets=(),
        workers=(),
        leader=None,
        hold_ms=0,
        leases=0,
        paused_reason=None,
    )
    return replace(plain, **changes)


def prospect(*waiting: Waiting) -> Prospect:
    rates = Rates(in_flight=50, creates_a_ms=0.002, sources_a_ms=0.002, job_ms=50_000)
    return Prospect(rates=rates, learnt=True, waiting=waiting, weights={})


def view(listing_id: str, photo_id: str, stage: Stage, **changes: Any) -> PhotoView:
    plain = PhotoView(
        key=photo_key(listing_id, photo_id),
        listing_id=listing_id,
        photo_id=photo_id,
        partner="acme",
        stage=stage,
        fingerprint=fingerprint(Request(source=f"https://photos.test/{photo_id}.jpg")),
        revision=1,
        attempt=0,
        accepted_ms=0,
        stage_since_ms=0,
        job_id=None,
        error_code=None,
        error_message=None,
    )
    return replace(plain, **changes)


def new_listing(listing_id: str, *photo_ids: str) -> NewListing:
    photos = tuple(
        NewPhoto(photo_id=name, request=Request(source=f"https://photos.test/{name}.jpg"), metadata={})
        for name in photo_ids
    )
    return NewListing(listing_id=listing_id, photos=photos, metadata={})


@dataclass
class FakeLedger:
    """What the CLI needs of a ledger, in memory."""

    views: list[PhotoView] = field(default_factory=list)
    picture: Snapshot = field(default_factory=snapshot)
    expected: Prospect = field(default_factory=prospect)
    messages: list[tuple[str, str]] = field(default_factory=list)
    replayed: list[tuple[list[str], bool]] = field(default_factory=list)
    down: bool = False

    async def enqueue(self, listings: Iterable[NewListing]) -> list[Enqueued]:
        self._answer()
        answers = []
        for listing in listings:
            for photo in listing.photos:
                names = {"listing_id": listing.listing_id, "photo_id": photo.photo_id}
                known = [item for item in self.views if (item.listing_id, item.photo_id) == tuple(names.values())]
                if not known:
                    self.views.append(view(**names, stage=Stage.ACCEPTED, fingerprint=fingerprint(photo.request)))
                stage = known[0].stage if known else Stage.ACCEPTED
                held = stage in HELD | {Stage.FAILED}
                verdict = Verdict.ACCEPTED if not known else Verdict.HELD if held else Verdict.SAME
                answers.append(Enqueued(**names, verdict=verdict, stage=stage))
        return answers

    async def snapshot(self) -> Snapshot:
        self._answer()
        return self.picture

    async def prospect(self) -> Prospect:
        self._answer()
        return self.expected

    async def photos(self, stage: Stage, *, limit: int = 100) -> list[PhotoView]:
        self._answer()
        return [item for item in self.views if item.stage is stage][:limit]

    async def listing(self, listing_id: str) -> list[PhotoView]:
        self._answer()
        return [item for item in self.views if item.listing_id == listing_id]

    async def replay(self, keys: Sequence[str], *, create_again: bool = False) -> int:
        self.replayed.append((list(keys), create_again))
        meant = {Stage.FAILED, Stage.PARKED} | ({Stage.UNCERTAIN} if create_again else set())
        return sum(item.key in keys and item.stage in meant for item in self.views)

    async def completions(self, after: str = "0", count: int = 1000) -> list[tuple[str, str]]:
        self._answer()

        def order(entry_id: str) -> tuple[int, ...]:
            return tuple(int(part) for part in entry_id.split("-"))

        return [entry for entry in self.messages if order(entry[0]) > order(after)][:count]

    def _answer(self) -> None:
        if self.down:
            raise RedisConnectionError("Error 111 connecting to 127.0.0.1:6379. Connection refused.")

    def end(self, listing_id: str, photo_id: str, stage: Stage) -> None:
        """Move a photo as a worker would."""
        self.views = [
            replace(item, stage=stage) if (item.listing_id, item.photo_id) == (listing_id, photo_id) else item
            for item in self.views
        ]
        assert stage in ENDED | HELD


@pytest.fixture
def ledger() -> FakeLedger:
    return FakeLedger()


@pytest.fixture
def environ() -> dict[str, str]:
    """The settings' variables; the URL's password must never be seen."""
    return {"STAGECREW_REDIS_URL": "redis://:hunter2@127.0.0.1:6379/0"}


@pytest.fixture
def stagecrew(ledger: FakeLedger, environ: dict[str, str]) -> Callable[..., Result]:
    """Run the command line as a user would, on the ledger in memory."""

    @contextlib.asynccontextmanager
    async def opened(_settings: Settings) -> AsyncIterator[FakeLedger]:
        yield ledger

    async def redis_is_well(_settings: Settings) -> list[Finding]:
        return [ok(Check.REDIS, "answers")]

    async def nothing_is_late(_settings: Settings) -> list[Finding]:
        return [ok(Check.STUCK, "no photo is late")]

    doors = Doors(
        load_settings=lambda: load_settings(environ),
        open_ledger=opened,
        check_redis=redis_is_well,
        check_stuck=nothing_is_late,
    )

    def run(*arguments: str, stdin: str | None = None) -> Result:
        result = CliRunner().invoke(app, list(arguments), obj=doors, input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert "hunter2" not in result.output
        return result

    return run


def working_worker(name: str = "one@host", version: str = "0.3.0") -> WorkerView:
    return WorkerView(name=name, hands=64, busy=3, version=version, seen_ms_ago=200)


def budget(**changes: Any) -> BudgetView:
    plain = BudgetView(
        route="generations",
        used=7,
        count=120,
        window_ms=61_000,
        paused_ms=0,
        granted_total=1234,
        refused_total=0,
    )
    return replace(plain, **changes)
