"""One chaos run: hand everything over, strike, let it come to rest, check."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from redis.exceptions import RedisError

from chaos.arena import Arena, open_arena
from chaos.checker import HELD, check
from chaos.evidence import ROOT, gather, left_in, read_stream
from chaos.orders import STYLES, Batch, batches, orders_of, pictures
from chaos.plan import TICK_S, Due, Fault, Strike, script, thrown
from chaos.producer import Producer
from chaos.strikes import Strikes
from worker.sandbox.config import Faults, SandboxConfig

#: A run in which nothing comes to its end for so long has failed, in seconds of real time.
STALL_S: Final = 180.0
#: At rest for so many looks.
LOOKS: Final = 3

Say = Callable[[str], None]
Names = set[tuple[str, str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is to be done in a run. All choices follow from the seed."""

    seed: int
    photos: int
    workers: int
    #: Strikes by chance, as long as they go on at most, in minutes of real time; 0: none.
    minutes: float
    faults: Sequence[Fault] = tuple(Fault)
    quick_store: bool = True
    earlier: Path | None = None
    speed: float = 20.0


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came out."""

    seconds: float
    orders: int
    strikes: Mapping[Fault, int]
    calls_spoilt: Mapping[str, int]
    repeated: int
    broken: Mapping[str, list[str]]
    books: Mapping[str, Any] = field(repr=False)
    billed: int
    events: int
    copies: int

    @property
    def holds(self) -> bool:
        """Whether every invariant held."""
        return not any(self.broken.values())


def sandbox_of(task: Task) -> SandboxConfig:
    """Return the API of a run: the published limits, quick jobs, and its own share of faults."""
    return SandboxConfig(
        seed=task.seed,
        speed=task.speed,
        picture="tiny",
        job_min_s=8.0,
        job_max_s=30.0,
        included=10_000_000,
        faults=Faults(
            failed_jobs=0.005,
            errors_500=0.002,
            lost_responses=0.002,
            truncated_downloads=0.005,
            expired_urls=0.005,
            webhooks_lost=0.02,
            webhooks_doubled=0.05,
            webhooks_out_of_order=0.05,
            webhooks_forged=0.02,
            webhooks_early=0.02,
        ),
    )


def run(task: Task, folder: Path, say: Say = lambda _: None) -> Outcome:
    """Run it and hold the books against each other. Raises AssertionError when it does not come to rest."""
    sources = pictures(task.photos, seed=task.seed)
    config = sandbox_of(task)
    with open_arena(
        folder,
        seed=task.seed,
        workers=task.workers,
        sandbox=config,
        sources=sources,
        quick_store=task.quick_store,
        earlier=task.earlier,
    ) as arena:
        given = batches(sources, f"http://127.0.0.1:{arena.source.port}", seed=task.seed)
        orders = list(orders_of(given))
        say(f"{task.photos:,} photos, {len(orders):,} orders, {task.workers} workers, seed {task.seed}")
        driver = Driver(task, arena, given, len(orders), say)
        began_s = time.monotonic()
        driver.strike_and_hand_over()
        seconds = time.monotonic() - began_s
        driver.rest()
        say(f"at rest after {time.monotonic() - began_s:.0f} s; reading the books")
        evidence = gather(arena, config, orders, forgot=driver.ever_forgot)
        spoilt = {
            f"{proxy.name} {mishap}": count
            for proxy in (arena.api, arena.store, arena.sink, arena.source)
            for mishap, count in sorted(proxy.counts.items())
        }
    return Outcome(
        seconds=seconds,
        orders=len(orders),
        strikes=dict(driver.strikes.counts),
        calls_spoilt=spoilt,
        repeated=driver.producer.repeated,
        broken=check(evidence),
        books=evidence.books,
        billed=len(evidence.bill),
        events=len(evidence.stream),
        copies=sum(map(len, evidence.received.values())),
    )


class Driver:
    """Drives one run."""

    def __init__(self, task: Task, arena: Arena, given: Sequence[Batch], orders: int, say: Say) -> None:
        """`orders`: how many ends there are to be."""
        self.strikes = Strikes(arena)
        self.producer = Producer(arena, given, seed=task.seed)
        self.ever_forgot = False
        self._task = task
        self._arena = arena
        self._orders = orders
        self._say = say
        self._script: list[Due] = script(task.seed, list(task.faults))
        self._last_entry = "-"
        self._ended: Names = set()
        #: The fingerprint of each photo's first order, by which its events are told apart.
        self._fingerprints: dict[tuple[str, str], str] = {}
        self._held = 0
        self._most = 0
        self._moved_s = time.monotonic()
        self._said = 0

    def strike_and_hand_over(self) -> None:
        """Go on until every order has ended or is held, and the script is through."""
        tick, began_s = 0, time.monotonic()
        while not (self._over() and not self._script and self.producer.done):
            tick_ends_s = time.monotonic() + TICK_S
            self._look()
            if self.strikes.forgot:
                self._hand_over_again()
            self.producer.push(self._ended)
            self._strike(tick if time.monotonic() - began_s < self._task.minutes * 60 else None)
            self.strikes.end_spells()
            self._arena.replace_ended()
            self._check_stall()
            tick += 1
            time.sleep(max(0.0, tick_ends_s - time.monotonic()))
        self.strikes.end_spells(all_of_them=True)

    def rest(self) -> None:
        """Wait until nothing is left to do, after the last trouble is over."""
        looks, deadline_s = 0, time.monotonic() + STALL_S
        while looks < LOOKS:
            try:
                with self._arena.redis.client as client:
                    left = {name: count for name, count in left_in(client).items() if count}
            except RedisError:
                left = {"redis": 1}
            looks = 0 if left else looks + 1
            if time.monotonic() > deadline_s:
                self._say(f"does not come to rest: {left}")
                return
            time.sleep(TICK_S)

    def _strike(self, tick: int | None) -> None:
        share = len(self._ended) / self._orders
        # When all else is done, the rest of the script still comes.
        if self._script and (share >= self._script[0].at or self._over()) and self._do(self._script[0].strike):
            self._script.pop(0)
        if tick is not None and self._task.minutes:
            for strike in thrown(self._task.seed, tick):
                self._do(strike)

    def _do(self, strike: Strike) -> bool:
        try:
            done = self.strikes.strike(strike)
        except RedisError:
            return False  # it is paused or coming up: another time
        if done and not self._task.minutes:
            self._say(f"{len(self._ended):6,} ended: {strike.fault.value}")
        return done

    def _look(self) -> None:
        try:
            with self._arena.redis.client as client:
                for entry_id, event in read_stream(client, self._last_entry):
                    self._last_entry = f"({entry_id}"
                    self._note(event)
                self._held = sum(int(client.hget(f"{ROOT}stages", stage) or 0) for stage in HELD)
        except RedisError:
            return
        if len(self._ended) * 10 // self._orders > self._said:
            self._said = len(self._ended) * 10 // self._orders
            self._say(f"{len(self._ended):6,} of {self._orders:,} ended; {sum(self.strikes.counts.values())} strikes")

    def _note(self, event: Mapping[str, Any]) -> None:
        data = event["data"]
        if "photo_id" not in data or "fingerprint" not in data:
            return
        photo = (data["listing_id"], data["photo_id"])
        first = (*photo, STYLES[0])
        # The first end of a photo is of its first order: the second is handed over after it only.
        known = self._fingerprints.setdefault(photo, data["fingerprint"])
        self._ended.add(first if known == data["fingerprint"] else (*photo, STYLES[1]))

    def _hand_over_again(self) -> None:
        """After acknowledged writes were lost, producers hand over again whatever has no completion message."""
        self.strikes.forgot, self.ever_forgot = False, True
        self._ended, self._last_entry, self._most = set(), "-", 0
        self._moved_s = time.monotonic()
        self._look()
        self.producer.start_over(self._ended)

    def _over(self) -> bool:
        return len(self._ended) + self._held >= self._orders

    def _check_stall(self) -> None:
        if len(self._ended) > self._most:
            self._most, self._moved_s = len(self._ended), time.monotonic()
        stalled_s = time.monotonic() - self._moved_s
        assert stalled_s < STALL_S, (
            f"nothing ended for {stalled_s:.0f} s: {len(self._ended)} of {self._orders} ended, {self._held} held"
        )
