"""The outbox of one account: messages that sinks have not taken yet, and dead letters.

A message is put there by the script that makes it true (`worker/lua/emit.lua`) and leaves it when its sink has it, so
none is lost, whoever dies; it may be delivered more than once, with the same id. Each listing's messages are delivered
in their order, one at a time. All methods may raise `redis.exceptions.RedisError`; all are idempotent.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from worker.core.delivery import Settlement
from worker.core.identity import listing_key
from worker.ledger.snapshot import SinkView
from worker.lua import Scripts

_PACKAGE: Final = "worker.ledger.lua"
_PAGE: Final = 500
#: What parts a pump's name into its worker's, for people, and what makes it unlike any other.
PUMP_MARK: Final = "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Destinations:
    """Where messages go: the stream's key ('' for none), its length, the names of the sinks that have an outbox."""

    stream: str
    stream_length: int
    outboxes: tuple[str, ...] = ()

    def wire(self) -> str:
        """Return it as the scripts take it."""
        return json.dumps({"stream": self.stream, "length": self.stream_length, "outboxes": self.outboxes})


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One message on its way to a sink; `event` is the CloudEvent's JSON."""

    listing: str
    entry: str
    event: str
    #: Failed tries so far.
    tries: int
    #: Redis's clock when it was claimed, in ms since the epoch.
    now_ms: int

    @property
    def event_id(self) -> str:
        """The CloudEvent's id: the same however often it is delivered."""
        return str(json.loads(self.event)["id"])

    @property
    def event_type(self) -> str:
        """The CloudEvent's type."""
        return str(json.loads(self.event)["type"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a claim gave. `leads` is False when another process delivers to this sink: ask again after `wait_ms`."""

    leads: bool
    #: Until something more is due; None: nothing that is known.
    wait_ms: int | None
    times_down: int = 0
    letters: tuple[Letter, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message that a sink refused, or that failed too often."""

    entry: str
    listing: str
    event: str
    reason: str
    tries: int

    @property
    def dead_ms(self) -> int:
        """When it was given up, in ms since the epoch, by Redis's clock."""
        return int(self.entry.partition("-")[0])


class Outbox:
    """Claims, settles, lists and replays; built once a process by the ledger."""

    def __init__(self, scripts: Scripts, *, clock: str = "") -> None:
        """`clock`: a pushed time in ms for tests, empty in production."""
        self.clock = clock
        self._scripts = scripts
        self._root = scripts.root
        # redis-py types its replies for bytes and text alike; ours are text.
        self._redis: Any = scripts.redis

    async def claim(self, sink: str, pump: str, *, lease_ms: int, room: int, busy: Iterable[str]) -> Claim:
        """Take or renew the sink's lease for `pump`; return the next message of up to `room` listings not `busy`."""
        args: list[str | int] = [self.clock, sink, pump, lease_ms, room, *busy]
        reply = await self._scripts.call(_PACKAGE, "outbox_claim", args)
        if reply[0] == "follow":
            return Claim(leads=False, wait_ms=max(0, int(reply[1])))
        _, now_ms, wait_ms, times_down, *letters = reply
        return Claim(
            leads=True,
            wait_ms=None if int(wait_ms) < 0 else int(wait_ms),
            times_down=int(times_down),
            letters=tuple(
                Letter(listing=listing, entry=entry, event=event, tries=int(tries), now_ms=int(now_ms))
                for listing, entry, tries, event in letters
            ),
        )

    async def settle(self, sink: str, settled: Sequence[tuple[Letter, Settlement]]) -> int:
        """Write what became of messages; return of how many. Those that are settled already are left alone."""
        args: list[str | int] = [self.clock, sink]
        for letter, what in settled:
            args += [letter.listing, letter.entry, what.word.value, what.wait_ms, what.reason]
        return int(await self._scripts.call(_PACKAGE, "outbox_settle", args))

    async def news(self, sink: str, *, within_s: float) -> bool:
        """Return True when something was put into the sink's outbox, False when nothing was for `within_s`."""
        return await self._redis.blpop([f"{self._root}news:{sink}"], timeout=within_s) is not None

    async def release(self, sink: str, pump: str) -> None:
        """Give up the sink's lease, if `pump` has it."""
        await self._scripts.call(_PACKAGE, "outbox_release", [sink, pump])

    async def waiting(self, sink: str) -> int:
        """Return how many messages the sink has not taken yet."""
        return int(await self._redis.xlen(f"{self._root}outbox:{sink}"))

    async def known(self) -> tuple[str, ...]:
        """Return the names of all sinks that ever had an outbox, in their order."""
        fields = await self._redis.hkeys(f"{self._root}sinks")
        return tuple(sorted(name[4:] for name in fields if name.startswith("put:")))

    async def dead(self, sink: str, *, limit: int | None = None) -> list[DeadLetter]:
        """Return dead letters, the newest first."""
        entries = await self._redis.xrevrange(f"{self._root}dead:{sink}", "+", "-", limit)
        return [_dead(entry, fields) for entry, fields in entries]

    async def replay(self, sink: str, *, listings: Sequence[str] = ()) -> int:
        """Put dead letters back, the oldest first, all or those of `listings` (ids); return how many.

        A pause of the sink ends, also when there are none.
        """
        only = {listing_key(listing) for listing in listings}
        sent = await self._replay(sink, [])
        async for page in self._dead_pages(sink):
            sent += await self._replay(sink, [one.entry for one in page if not only or one.listing in only])
        return sent

    async def _replay(self, sink: str, entries: Sequence[str]) -> int:
        return int(await self._scripts.call(_PACKAGE, "outbox_replay", [self.clock, sink, *entries]))

    async def forget(self, sink: str, *, waiting: bool) -> int:
        """Drop a sink's dead letters for good, with `waiting` all that it knows; return how many messages went."""
        dropped = 0
        async for page in self._dead_pages(sink):
            dropped += int(await self._redis.xdel(f"{self._root}dead:{sink}", *(letter.entry for letter in page)))
        if waiting:
            dropped += await self.waiting(sink)
            names = [f"queue:{sink}:{one}" async for one in self._listings(sink)]
            names += [f"{kind}:{sink}" for kind in ("outbox", "turn", "tries", "dead", "pump", "news")]
            await self._redis.delete(*(f"{self._root}{name}" for name in names))
            fields = [f"{field}:{sink}" for field in ("put", "delivered", "dead", "down", "until", "reason")]
            await self._redis.hdel(f"{self._root}sinks", *fields)
        return dropped

    async def _listings(self, sink: str) -> AsyncIterator[str]:
        async for listing, _ in self._redis.zscan_iter(f"{self._root}turn:{sink}"):
            yield listing

    async def _dead_pages(self, sink: str) -> AsyncIterator[list[DeadLetter]]:
        after = "-"
        while entries := await self._redis.xrange(f"{self._root}dead:{sink}", after, "+", _PAGE):
            yield [_dead(entry, fields) for entry, fields in entries]
            after = f"({entries[-1][0]}"


def _dead(entry: str, fields: dict[str, str]) -> DeadLetter:
    return DeadLetter(
        entry=entry,
        listing=fields["listing"],
        event=fields["event"],
        reason=fields["reason"],
        tries=int(fields["tries"]),
    )


def sink_views(found: Mapping[str, Any], destinations: Destinations, now_ms: int) -> tuple[SinkView, ...]:
    """Return the sinks with an outbox as `sinks.lua` gave them: those of the settings first."""
    known = {str(sink[0]): sink[1:] for sink in found["sinks"] or ()}
    counters = found["counters"] or {}

    def view(name: str) -> SinkView:
        waiting, listings, oldest, dead, pump, failing = known.get(name, (0, 0, "", 0, "", 0))
        return SinkView(
            name=name,
            configured=name in destinations.outboxes,
            waiting=int(waiting),
            listings=int(listings),
            failing=int(failing),
            oldest_ms=max(0, now_ms - int(oldest.partition("-")[0])) if oldest else 0,
            dead=int(dead),
            delivered_total=int(counters.get(f"delivered:{name}", 0)),
            dead_total=int(counters.get(f"dead:{name}", 0)),
            times_down=int(counters.get(f"down:{name}", 0)),
            paused_ms=max(0, int(float(counters.get(f"until:{name}", 0))) - now_ms),
            reason=counters.get(f"reason:{name}") or None,
            pump=pump.partition(PUMP_MARK)[0] or None,
        )

    return tuple(view(name) for name in dict.fromkeys((*destinations.outboxes, *sorted(known))))
