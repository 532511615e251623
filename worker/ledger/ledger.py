"""The ledger of one account: every photo's row, changed only by compare-and-set on its lease's fencing token.

All methods may raise `redis.exceptions.RedisError`; every change is idempotent, so a repeated command does no harm.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from worker.core.cadence import Load
from worker.core.events import listing_completed_parts
from worker.core.identity import fingerprint_of, listing_key, photo_key
from worker.core.photo import ENDED, NewListing, Photo, Stage, StepName
from worker.core.request import dumps
from worker.core.step import Ending, Step
from worker.flow.limits import ALIVE_MS, Budget, Limits
from worker.flow.outlook import Prospect, Prospects
from worker.gathering import Gathering
from worker.ledger.outbox import Destinations, Outbox
from worker.ledger.picture import snapshot_of
from worker.ledger.rows import order_text, pairs, to_photo, to_view
from worker.ledger.snapshot import NEWS, Enqueued, PhotoView, Snapshot, Verdict
from worker.lua import Scripts
from worker.tracing import OFF, Tracer

_PACKAGE: Final = "worker.ledger.lua"
#: Listings sent to Redis in one round trip while enqueueing.
_PIPELINE: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A photo whose lease was opened; `wait_ms` > 0 means that its read is not granted yet."""

    photo: Photo
    wait_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What opening a batch gave: the photos that are ours, and how busy the account is.

    `newer`: photos whose rows a newer release wrote; they were given back to its workers.
    """

    opened: tuple[Opened, ...]
    load: Load
    newer: int = 0


class Ledger:
    """Reads and settles rows; built once a process by `worker.services`."""

    def __init__(
        self,
        scripts: Scripts,
        *,
        account: str,
        limits: Limits,
        prospects: Prospects,
        destinations: Destinations,
        retention_ms: int,
        lease_ms: int,
        clock: str = "",
        tracer: Tracer = OFF,
    ) -> None:
        """`destinations`: where completion messages go; `clock`: a pushed time in ms for tests, empty in production."""
        self._tracer = tracer
        self.account = account
        self.clock = clock
        self._scripts = scripts
        # redis-py types its replies for bytes and text alike; ours are text.
        self._redis: Any = scripts.redis
        self._limits = limits
        self._prospects = prospects
        self._destinations = destinations
        self.outbox = Outbox(scripts, clock=clock)
        self._retention_ms = retention_ms
        self._lease_ms = lease_ms
        self._settling: Gathering[tuple[str, str, str], list[str]] = Gathering(self._settle)

    @property
    def scripts(self) -> Scripts:
        """The account's scripts, for what else is asked of its rows."""
        return self._scripts

    @property
    def ending_args(self) -> tuple[str | int, ...]:
        """What every script that may end photos is told: where messages go, and the retention of ended rows."""
        return (self._destinations.wire(), self._retention_ms)

    async def now_ms(self) -> int:
        """Return Redis's clock in ms since the epoch (a test's, where it pushes one)."""
        return await self._scripts.now_ms(self.clock)

    async def enqueue(self, listings: Iterable[NewListing]) -> list[Enqueued]:
        """Accept listings; the same listing again changes nothing, another request is a new revision."""
        sha = await self._scripts.load(_PACKAGE, "enqueue")
        answers: list[Enqueued] = []
        remaining = iter(listings)
        # The next listings are made ready while the server works on the ones before.
        sent: asyncio.Task[list[Enqueued]] | None = None
        try:
            while some := list(islice(remaining, _PIPELINE)):
                pipe = self._redis.pipeline(transaction=False)
                for listing in some:
                    pipe.evalsha(sha, 1, self._scripts.root, *self._enqueue_args(listing))
                    await asyncio.sleep(0)
                if sent is not None:
                    answers += await sent
                sent = asyncio.create_task(self._answers(pipe, some))
                await asyncio.sleep(0)
            if sent is not None:
                answers += await sent
                sent = None
        finally:
            if sent is not None:
                sent.cancel()
        return answers

    async def _answers(self, pipe: Any, listings: Sequence[NewListing]) -> list[Enqueued]:
        began_ns = time.time_ns()
        answers = await _answers(pipe, listings)
        if self._tracer is not OFF:
            news = [(answer.listing_id, answer.photo_id) for answer in answers if answer.verdict in NEWS]
            self._tracer.enqueued(self.account, listings, news, began_ns)
        return answers

    def _enqueue_args(self, listing: NewListing) -> list[str | int]:
        args: list[str | int] = [
            self.clock,
            listing_key(listing.listing_id),
            listing.listing_id,
            listing.partner,
            listing.priority,
            dumps(dict(listing.metadata)),
        ]
        for photo in listing.photos:
            request = photo.request.canonical_json()
            args += [
                photo_key(listing.listing_id, photo.photo_id),
                photo.photo_id,
                order_text(request, dumps({**listing.metadata, **photo.metadata})),
                fingerprint_of(request),
            ]
        return args

    async def open(self, step: StepName, leases: Sequence[tuple[str, str]], read: Budget | None = None) -> Batch:
        """Open the leases (photo key, token) of a batch; with `read`, take each photo's read grant in the same call.

        A lease is opened once: of a message that came twice only one has it.
        """
        args: list[str | int] = [self.clock, self._lease_ms, step.value]
        args += read.args() if read else ("", 0, 0)
        args.append(secrets.token_hex(4))
        for key, token in leases:
            args += [key, token]
        now_ms, waiting, in_flight, *rows = json.loads(await self._scripts.call(_PACKAGE, "open", args))
        opened = [
            Opened(photo=to_photo(key, self.account, pairs(row[1]), row[2], now_ms=int(now_ms)), wait_ms=int(row[0]))
            for (key, _), row in zip(leases, rows, strict=True)
            if isinstance(row, list)
        ]
        load = Load(waiting=int(waiting), in_flight=int(in_flight))
        return Batch(opened=tuple(opened), load=load, newer=rows.count("newer"))

    async def give_back(self, leases: Sequence[tuple[str, str]], *, delay_ms: int = 0) -> int:
        """Give back leases (photo key, token) of steps that were not begun; return how many were still ours."""
        args: list[str | int] = [self.clock, delay_ms]
        for key, token in leases:
            args += [key, token]
        return int(await self._scripts.call(_PACKAGE, "give_back", args)) if leases else 0

    async def renew(self, leases: Sequence[tuple[str, str]]) -> set[str]:
        """Prolong leases; return the keys of those that are somebody else's by now."""
        args: list[str | int] = [self.clock, self._lease_ms]
        for key, token in leases:
            args += [key, token]
        return set(await self._scripts.call(_PACKAGE, "renew", args))

    async def settle(self, photo: Photo, step: Step) -> bool:
        """Settle one step; False when the lease was not ours any more, and nothing was changed."""
        word, _ = await self._settling((photo.key, photo.token, json.dumps(_wire(photo, step))))
        return bool(word == "settled")

    async def _settle(self, steps: Sequence[tuple[str, str, str]]) -> list[list[str]]:
        args: list[str | int] = [self.clock, *self.ending_args, self._limits.guard_ms]
        args += [text for step in steps for text in step]
        answers: list[list[str]] = await self._scripts.call(_PACKAGE, "settle", args)
        return answers

    async def replay(self, keys: Sequence[str], *, create_again: bool = False) -> int:
        """Send held photos on their way again under new keys (another job, perhaps billed); return how many."""
        args: list[str | int] = [self.clock, "1" if create_again else "", *keys]
        return int(await self._scripts.call(_PACKAGE, "replay", args)) if keys else 0

    async def photos(self, stage: Stage, *, limit: int = 100) -> list[PhotoView]:
        """Return the newest photos of a held or failed stage."""
        return await self._views(await self._redis.zrevrange(f"{self._scripts.root}held:{stage}", 0, limit - 1))

    async def listing(self, listing_id: str) -> list[PhotoView]:
        """Return all photos of a listing, in the order of their ids; empty when it is unknown (or long ended)."""
        fields = await self._redis.hkeys(f"{self._scripts.root}l:{listing_key(listing_id)}")
        views = await self._views([name[2:] for name in fields if name.startswith("p:")])
        return sorted(views, key=lambda view: view.photo_id)

    async def views(self, photos: Sequence[tuple[str, str]]) -> list[PhotoView]:
        """Return photos by (listing id, photo id); those that are not in the ledger are left out."""
        return await self._views([photo_key(listing_id, photo_id) for listing_id, photo_id in photos])

    async def unused_api(self) -> None:
        """Say that nothing was ever sent to the API: an empty ledger then has no window to wait for."""
        await self._redis.set(f"{self._scripts.root}boot", 0, nx=True)

    async def _views(self, keys: Sequence[str]) -> list[PhotoView]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hgetall(f"{self._scripts.root}p:{key}")
            rows = await pipe.execute()
        return [to_view(key, self.account, row) for key, row in zip(keys, rows, strict=True) if row]

    async def completions(self, after: str = "0", count: int = 1000) -> list[tuple[str, str]]:
        """Return up to `count` messages of the stream after stream id `after`: (stream id, CloudEvent JSON)."""
        if not self._destinations.stream:
            return []
        entries = await self._redis.xrange(self._destinations.stream, f"({after}" if after != "0" else "-", "+", count)
        return [(entry_id, fields["event"]) for entry_id, fields in entries]

    async def announce(self, event: str, *, order: str = "account") -> bool:
        """Send a message that no photo's end brings along, once for its id; those with the same `order` keep theirs."""
        args: list[str | int] = [self.clock, self._destinations.wire(), str(json.loads(event)["id"]), order, event]
        return bool(await self._scripts.call(_PACKAGE, "announce", args))

    async def prospect(self) -> Prospect:
        """Return what the photos that wait may expect."""
        return await self._prospects.read()

    async def snapshot(self) -> Snapshot:
        """Return the whole account in one consistent picture."""
        args: list[str | int] = [self.clock, ALIVE_MS]
        for budget in self._limits.budgets.values():
            args += budget.args()
        found = json.loads(await self._scripts.call(_PACKAGE, "snapshot", args))
        return snapshot_of(self.account, found, self._limits, self._destinations)


async def _answers(pipe: Any, listings: Sequence[NewListing]) -> list[Enqueued]:
    async with pipe:
        replies = await pipe.execute()
    return [
        Enqueued(listing_id=listing.listing_id, photo_id=photo.photo_id, verdict=Verdict(verdict), stage=Stage(stage))
        for listing, reply in zip(listings, replies, strict=True)
        for photo, verdict, stage in zip(listing.photos, reply[::2], reply[1::2], strict=True)
    ]


def _wire(photo: Photo, step: Step) -> dict[str, Any]:
    """Return a step as `settle.lua` takes it."""
    fields = dict(step.fields)
    if step.error_code is not None:
        fields |= {"error_code": step.error_code, "error_message": step.error_message or ""}
    drop = list(step.drop)
    if step.stage is not photo.stage and step.error_code is None:
        drop += ["error_code", "error_message"]
    wire: dict[str, Any] = {
        "stage": step.stage.value,
        "delay": max(0, step.delay_ms),
        "set": [text for pair in fields.items() for text in pair],
        "drop": drop,
        "release": step.release_slot,
        "adopt": step.adopt_slot,
        "retry": step.ending is Ending.RETRY,
        "poll": step.ending is Ending.WAIT,
    }
    if step.unspent:
        wire["unspent"] = True
    if step.requeue:
        wire["requeue"] = True
    if (job_id := fields.get("job_id")) and job_id != photo.job_id:
        wire["job"] = job_id
    if step.event is not None:
        wire["event"] = step.event
    if step.stage in ENDED:
        wire["announce"] = listing_completed_parts(photo)
    if step.duration_ms is not None:
        wire["duration"] = step.duration_ms
        wire["duration_kinds"] = list(step.duration_kinds)
    if step.if_cancelled is not None:
        wire["cancelled"] = _wire(photo, step.if_cancelled)
    return wire
