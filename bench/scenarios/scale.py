"""A long backlog: how fast one process fills it, what a photo takes of Redis, what choosing the next ones costs.

At each size a fresh Redis gets that many photos from one process, then the dispatch script is asked for 64 photos a
dozen times with limits and hands for all of them, and then a real worker works on the backlog for a while.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import worker
from bench.contenders.contender import RunFailed
from bench.contenders.fleet import Fleet, ask, environ_for, running_fleet
from bench.contenders.waiting import PER_LISTING
from bench.figures import BYTES, MEGABYTES, OURS, PER_S, US, Figure, Findings, Line
from bench.meter import Meter, Usage
from bench.scenarios.options import Options
from config.settings import load_settings
from worker.core.photo import Stage
from worker.flow.dispatching import Orders
from worker.sandbox.config import SandboxConfig
from worker.services import Account

SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
#: Without `--full` the largest backlog is so many times the photos of the other scenarios: 100,000 for 800.
OF_PHOTOS: Final = 125
#: Dispatches that are measured at each size, and the photos that each is given hands for.
DISPATCHES: Final = 12
PHOTOS_EACH: Final = 64
#: A real worker works on the backlog until so many photos more are done.
DONE: Final = 100
#: Photos in the file that `stagecrew enqueue` is given, at most.
MOST_IN_FILE: Final = 100_000
LEAST_RATE: Final = 20_000
MOST_BYTES: Final = 1_024
#: The cost at the largest backlog may be so many times that at the smallest and still counts as flat.
FLAT: Final = 1.5
#: Everything but hands is in plenty for whoever measures, so that each dispatch finds as many photos as it is given
#: hands for; what it leased comes back soon. The worker has the usual settings.
PLENTY: Final = {
    "STAGECREW_LOOK_AHEAD": "1000000",
    "STAGECREW_LIMITS__IN_FLIGHT": "1000000",
    "STAGECREW_LEASE_S": "1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one backlog gave."""

    photos: int
    enqueue_s: float
    enqueuer: Usage
    redis_bytes: float
    dispatch_us: float
    worker_bytes: int


def scale(options: Options) -> Findings:
    """Measure stagecrew at growing backlogs."""
    largest = SIZES[-1] if options.full else OF_PHOTOS * options.photos
    found = []
    for photos in [size for size in SIZES if size <= largest] or [largest]:
        found.append(one := _measure(options, photos))
        options.say(
            f"scale: {photos:,} waiting: {photos / one.enqueue_s:,.0f} enqueued a second, {one.redis_bytes:.0f} bytes "
            f"and {one.dispatch_us:.0f} µs of dispatch a photo, worker {one.worker_bytes / 1e6:.0f} MB"
        )
    in_file = min(MOST_IN_FILE, largest)
    by_cli = _from_file(options, in_file)
    options.say(f"scale: `stagecrew enqueue` took {by_cli:,.0f} photos a second from a file of {in_file:,}")
    return findings(found, by_cli)


def findings(found: list[Measured], by_cli: float) -> Findings:
    """Return the figures of the sizes, the largest last; `by_cli`: photos a second from a file."""
    most, least = found[-1], found[0]
    rate = most.photos / most.enqueue_s
    # One size alone says nothing about a curve.
    flat = most.dispatch_us <= FLAT * least.dispatch_us if len(found) > 1 else None
    return Findings(
        figures=(
            Figure(
                title=f"enqueued by one process, {most.photos:,} photos",
                unit=PER_S,
                values={OURS: rate},
                asked="≥ 20,000/s",
                holds=rate >= LEAST_RATE,
            ),
            Figure(
                title="enqueued by `stagecrew enqueue` from a file, its start included",
                unit=PER_S,
                values={OURS: by_cli},
            ),
            Figure(
                title="peak memory of the process that enqueues",
                unit=MEGABYTES,
                values={OURS: most.enqueuer.peak_bytes},
            ),
            Figure(
                title="Redis memory per waiting photo",
                unit=BYTES,
                values={OURS: most.redis_bytes},
                asked="≤ 1 KB",
                holds=most.redis_bytes <= MOST_BYTES,
            ),
            *(
                Figure(
                    title=f"dispatch script per photo, {one.photos:,} waiting",
                    unit=US,
                    values={OURS: one.dispatch_us},
                    asked="flat" if one is most and flat is not None else "",
                    holds=flat if one is most else None,
                )
                for one in found
            ),
            *(
                Figure(
                    title=f"peak memory of a worker, backlog of {one.photos:,}",
                    unit=MEGABYTES,
                    values={OURS: float(one.worker_bytes)},
                )
                for one in {least.photos: least, most.photos: most}.values()
            ),
        ),
        dispatch=(Line(label="µs per photo", points=tuple((one.photos, one.dispatch_us) for one in found)),),
    )


def _from_file(options: Options, photos: int) -> float:
    """Return the photos a second that `stagecrew enqueue` takes in from a file, its start included."""
    with options.arena.open(SandboxConfig(), 1, workers=0) as (work, _), running_fleet(work) as fleet:
        records = Path(work.folder) / "listings.jsonl"
        with records.open("w") as lines:
            for number in range(0, photos, PER_LISTING):
                last = min(number + PER_LISTING, photos)
                sources = [{"photo_id": str(at), "source": str(work.source(0))} for at in range(number, last)]
                settings = {"mode": "refurnish", "style_preset": "modern"}
                record = {"listing_id": f"listing-{number}", "photos": [{**one, **settings} for one in sources]}
                lines.write(json.dumps(record) + "\n")
        began_s = time.monotonic()
        command = [sys.executable, "-m", "worker.cli", "enqueue", str(records)]
        done = subprocess.run(command, env=dict(fleet.environ), capture_output=True, text=True, check=False)  # noqa: S603
        seconds = time.monotonic() - began_s
        if done.returncode != 0:
            raise RunFailed(f"`stagecrew enqueue` did not take a file in:\n{done.stdout}{done.stderr}")
    return photos / seconds


def _measure(options: Options, photos: int) -> Measured:
    config = SandboxConfig(speed=options.speed, picture="tiny", limits_off=True, job_min_s=5, job_max_s=10)
    with options.arena.open(config, 1, workers=0) as (work, _), running_fleet(work) as fleet:
        empty = fleet.ask(_memory)
        enqueue_s, enqueuer = _enqueue(fleet, photos)
        held = fleet.ask(_memory)
        plenty = load_settings({**environ_for(work, fleet.redis.url), **PLENTY})
        dispatch_us = ask(plenty, lambda account: _dispatch_us(account, min(DISPATCHES, photos // PHOTOS_EACH)))
        fleet.start_workers(1)
        fleet.wait(f"{DONE} photos done", lambda now: now.stages.get(Stage.DONE, 0) >= min(DONE, photos))
        worker_bytes = Meter(fleet.pids).read()["worker"].peak_bytes
    return Measured(
        photos=photos,
        enqueue_s=enqueue_s,
        enqueuer=enqueuer,
        redis_bytes=(held - empty) / photos,
        dispatch_us=dispatch_us,
        worker_bytes=worker_bytes,
    )


def _enqueue(fleet: Fleet, photos: int) -> tuple[float, Usage]:
    command = [sys.executable, "-m", "bench.contenders.enqueuer", str(photos), str(fleet.work.source(0))]
    done = subprocess.run(command, env=dict(fleet.environ), capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise RunFailed(f"{photos:,} photos were not enqueued:\n{done.stderr[-2000:]}")
    report = json.loads(done.stdout)
    return report["seconds"], Usage(**report["usage"])


async def _memory(account: Account) -> float:
    found = await cast("Awaitable[dict[str, int]]", account.redis.info("memory"))
    return float(found["used_memory"])


async def _dispatch_us(account: Account, times: int) -> float:
    """Return the least cost of the dispatch script per photo, by the server's own clock, in microseconds.

    Whatever else runs on the machine can only add to it.
    """
    costs = []
    try:
        for number in range(times + 1):
            hands = PHOTOS_EACH * (number + 1)
            await account.admission.heartbeat("bench", hands=hands, busy=0, version=worker.__version__)
            await account.redis.config_resetstat()
            orders = await account.dispatching.dispatch("bench")
            stats = await cast("Awaitable[dict[str, dict[str, float]]]", account.redis.info("commandstats"))
            if not isinstance(orders, Orders) or not orders.photos:
                raise RunFailed(f"nothing was dispatched from the backlog: {orders}")
            # The first one loads the script.
            if number:
                costs.append(stats["cmdstat_evalsha"]["usec"] / len(orders.photos))
    finally:
        await account.admission.heartbeat("bench", hands=0, busy=0, version=worker.__version__)
    return min(costs)
