"""An account on a real Redis whose clock the test pushes: nothing here waits for time to pass."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.lifetimes import keys_are_as_documented
from tests.schemas import hold
from worker import keys
from worker.core.photo import NewListing, NewPhoto, Photo, Stage, StepName
from worker.core.request import canonical_request
from worker.core.routes import Route
from worker.core.step import Ending, Step
from worker.flow.admission import Admission, Granted, Stale, Wait
from worker.flow.cadence import Cadence
from worker.flow.caps import NO_CAPS, Caps
from worker.flow.dispatching import Dispatched, Dispatching, Follow, Orders
from worker.flow.duties import Duties
from worker.flow.limits import Budget, Limits
from worker.flow.outlook import Prospects
from worker.flow.parking import Parking
from worker.katalo.models import Output
from worker.katalo.notice import COMPLETED, Notice
from worker.ledger.inbox import Inbox, Outcome
from worker.ledger.ledger import Ledger
from worker.ledger.outbox import Destinations
from worker.ledger.snapshot import Enqueued, Snapshot
from worker.ledger.usage import UsageBook
from worker.lua import Scripts

START_MS = 1_800_000_000_000
#: What the API counts in, and how long a grant is good for; the window of a budget is both together.
API_WINDOW_MS = 9_000
GUARD_MS = 1_000
WINDOW_MS = API_WINDOW_MS + GUARD_MS
LEASE_MS = 5_000
#: What a restart of Redis may have lost.
FORGETS_MS = 2_000
STREAM = "completions"


@dataclass
class Account:
    """One account, driven step by step; `clock_ms` is what its Redis takes the time to be."""

    redis: Redis
    clock_ms: int = START_MS
    limit: int = 10
    ingest_reads: int | None = None
    in_flight: int = 3
    max_kept: int = 100
    look_ahead: int | None = 100
    caps: Caps = NO_CAPS
    weights: dict[str, int] = field(default_factory=dict)
    name: str = "default"
    fixed: frozenset[str] = frozenset()
    outboxes: tuple[str, ...] = ()
    stream: str = STREAM
    open: dict[str, Photo] = field(default_factory=dict)

    def __post_init__(self) -> None:
        scripts = Scripts(self.redis, keys.root(self.name), forgets_ms=FORGETS_MS)
        budgets = {route: Budget(route=route, count=self.limit, window_ms=WINDOW_MS) for route in Route}
        reads = Budget(route=Route.INGEST_READS, count=self.ingest_reads or self.limit, window_ms=WINDOW_MS)
        budgets[Route.INGEST_READS] = reads
        self.limits = Limits(
            budgets=budgets, in_flight=self.in_flight, guard_ms=GUARD_MS, fixed=self.fixed, caps=self.caps
        )
        self.cadence = Cadence(scripts, self.limits, speed=1)
        self.ledger = Ledger(
            scripts,
            prospects=Prospects(scripts, self.cadence, weights=self.weights, speed=1),
            account=self.name,
            limits=self.limits,
            destinations=Destinations(stream=self.stream, stream_length=1_000, outboxes=self.outboxes),
            retention_ms=86_400_000,
            lease_ms=LEASE_MS,
        )
        self.inbox = Inbox(scripts, max_kept=self.max_kept)
        self.admission = Admission(scripts, self.limits)
        self.dispatching = Dispatching(
            scripts,
            self.limits,
            cadence=self.cadence,
            lease_ms=LEASE_MS,
            look_ahead=self.look_ahead,
            ageing_ms=600_000,
            speed=1,
            weights=self.weights,
        )
        destinations = Destinations(stream=self.stream, stream_length=1_000, outboxes=self.outboxes)
        self.parking = Parking(scripts, account="default", speed=1, destinations=destinations.wire())
        self.usage = UsageBook(scripts)
        self.duties = Duties(scripts)
        self.push(0)

    def push(self, ms: int) -> None:
        """Let `ms` go by."""
        self.clock_ms += ms
        for part in (
            self.ledger.scripts,
            self.ledger,
            self.ledger.outbox,
            self.inbox,
            self.admission,
            self.dispatching,
            self.parking,
            self.usage,
            self.duties,
        ):
            part.clock = str(self.clock_ms)

    async def begin(self, *, hands: int = 100) -> None:
        """Start an account that never sent anything, with one worker."""
        # The first script marks a restart, and there is nothing yet that it could hold.
        await self.beat("worker-1", hands=hands)
        await self.ledger.unused_api()

    async def beat(self, worker: str, *, hands: int = 100) -> None:
        """Let a worker say that it lives."""
        await self.admission.heartbeat(worker, hands=hands, busy=0, version="1")

    async def enqueue(self, listing: str, count: int, *, style: str = "modern", **more: Any) -> list[Enqueued]:
        """Enqueue a listing of `count` photos."""
        photos = tuple(
            NewPhoto(
                photo_id=f"photo-{number}",
                request=canonical_request(source=f"/{listing}/{number}.jpg", mode="refurnish", style_preset=style),
                metadata={},
            )
            for number in range(count)
        )
        return await self.ledger.enqueue([NewListing(listing_id=listing, photos=photos, metadata={}, **more)])

    async def dispatch(self, worker: str = "worker-1") -> tuple[Dispatched, ...]:
        """Return what the leader sends out now."""
        orders = await self.dispatching.dispatch(worker)
        assert isinstance(orders, Orders)
        return orders.photos

    async def follows(self, worker: str) -> bool:
        """Say whether somebody else leads."""
        return isinstance(await self.dispatching.dispatch(worker), Follow)

    async def take(self, sent: Dispatched) -> Photo:
        """Open a lease as a worker does."""
        batch = await self.ledger.open(sent.step, [(sent.key, sent.token)])
        assert len(batch.opened) == 1, "the lease is stale"
        return batch.opened[0].photo

    async def renew(self, photo: Photo) -> None:
        """Keep a lease, as a worker does that is still at it."""
        await self.ledger.renew([(photo.key, photo.token)])

    async def settle(self, photo: Photo, stage: Stage, ending: Ending = Ending.GO, **more: Any) -> bool:
        """Settle a step."""
        return await self.ledger.settle(photo, Step(ending=ending, stage=stage, **more))

    async def admit(self, photo: Photo, route: Route, **more: Any) -> Granted | Wait | Stale:
        """Ask for one call."""
        return await self.admission.admit(photo, [self.limits.budgets[route]], **more)

    async def advance(self, stage: Stage, *, until: Stage) -> list[Photo]:
        """Take all that is sent out for `stage`'s step to `until`; return those photos."""
        taken = []
        for sent in await self.dispatch():
            photo = await self.take(sent)
            assert photo.stage is stage
            await self.settle(photo, until)
            taken.append(photo)
        return taken

    async def create(self, sent: Dispatched) -> Photo:
        """Take a slot and send a create, as a worker does; return the photo as it was opened."""
        photo = await self.take(sent)
        answer = await self.admit(
            photo,
            Route.GENERATIONS,
            takes_slot=True,
            intent={"body": "{}", "idempotency_key": "k"},
            stage=Stage.CREATING,
        )
        assert isinstance(answer, Granted)
        return photo

    async def hear(
        self,
        job: str | None,
        event: str = COMPLETED,
        *,
        url: str | None = "https://api/picture",
        reference: str | None = None,
        asset: str | None = None,
    ) -> Outcome:
        """Take a webhook in, as the gateway does; without `url` its word is not enough."""
        outputs = (Output(role="primary", url=url),) if url else ()
        notice = Notice(event_type=event, job_id=job, reference=reference, source_asset_id=asset, outputs=outputs)
        return await self.inbox.take(notice)

    async def row(self, photo: Photo) -> dict[str, str]:
        """Return a photo's row as it stands in Redis."""
        found: dict[str, str] = await self.redis.hgetall(f"{keys.root('default')}p:{photo.key}")  # type: ignore[misc]
        return found

    async def snapshot(self) -> Snapshot:
        """Return the picture that `status` shows."""
        return await self.ledger.snapshot()

    async def events(self) -> list[str]:
        """Return the completion messages; those that are none of a test's own are held against their schemas."""
        found = [event for _, event in await self.ledger.completions()]
        for event in map(json.loads, found):
            if "specversion" in event:
                hold(event)
        return found


Story = Callable[[Account], Coroutine[Any, Any, None]]
Tell = Callable[..., None]


@pytest.fixture
def tell(redis_url: str) -> Tell:
    """Run a story about an account on an empty Redis, and check afterwards that every key is documented and expires."""

    def run(story: Story, **settings: Any) -> None:
        async def live() -> None:
            async with Redis.from_url(redis_url, decode_responses=True, protocol=2) as redis:
                await story(Account(redis, **settings))

        asyncio.run(live())
        keys_are_as_documented(redis_url)

    return run


STEPS = {step.value for step in StepName}
