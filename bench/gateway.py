"""The gateway under load, on one core with a real Redis beside it: `python -m bench.gateway --rate 500 --seconds 10`.

Webhooks come at a fixed rate, whatever the answers take, and each is timed from the moment when it was due. As many
jobs are in flight as webhooks come, so that each has a photo to move; some come twice, some are forged. The gateway has
a core of its own; the sender and Redis share the others.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from config.settings import Settings, load_settings
from worker import keys
from worker.core.photo import NewListing, NewPhoto, Stage
from worker.core.request import canonical_request
from worker.embedded.processes import spawn, stop
from worker.embedded.redis_server import embedded_redis
from worker.katalo.callback import ROUTE
from worker.katalo.signature import sign
from worker.ledger.inbox import Outcome
from worker.services import Account, open_account

SECRET: Final = "bench-secret"  # noqa: S105 - it opens nothing
#: Shares of what comes: webhooks that came before, and forged ones; the rest moves a photo each.
DOUBLED: Final = 0.10
FORGED: Final = 0.02
_ROWS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook and what it is to be answered."""

    body: bytes
    signature: str
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one run gave; latencies in ms."""

    sent: int
    lost: int
    moved: int
    refused: int
    duplicates: int
    latencies_ms: Sequence[float]
    cpu_share: float
    seconds: float


def deliveries(count: int) -> tuple[list[str], list[Delivery]]:
    """Return the jobs that are meant, and `count` deliveries in the order in which they come."""
    dice = random.Random(1)  # noqa: S311 - the same load each time
    jobs: list[str] = []
    found: list[Delivery] = []
    for number in range(count):
        roll = dice.random()
        doubled = bool(jobs) and roll < DOUBLED
        job = dice.choice(jobs) if doubled else f"gen_{number:024d}"
        body = _payload(job)
        if not doubled and roll > 1 - FORGED:
            found.append(Delivery(body, sign(body, "somebody else's"), 401))
            continue
        if not doubled:
            jobs.append(job)
        found.append(Delivery(body, sign(body, SECRET), 200))
    return jobs, found


def _payload(job: str) -> bytes:
    url = f"https://storage.example.com/outputs/{job}/primary.jpg?expires=1800000000&signature={'0' * 64}"
    return json.dumps(
        {
            "event_type": "generation.completed",
            "job_id": job,
            "source_asset_id": "src_01JXSRCABCDEFGHIJKL012345",
            "reference": f"generation-listing-123-lr-1-{job}"[:64],
            "outputs": [{"kind": "primary", "url": url}],
            "metadata": {"listing_id": "listing-123", "photo_id": "lr-1", "partner": "acme"},
        }
    ).encode()


async def in_flight(account: Account, jobs: Sequence[str]) -> None:
    """Put photos into the ledger whose jobs run; written directly, for no fleet has so many in flight."""
    request = canonical_request(source="/a.jpg", mode="refurnish", style_preset="modern")
    photos = [NewPhoto(photo_id=job, request=request, metadata={}) for job in jobs]
    listings = [
        NewListing(listing_id=f"listing {at}", photos=tuple(photos[at : at + 10]), metadata={})
        for at in range(0, len(photos), 10)
    ]
    await account.ledger.unused_api()
    await account.ledger.enqueue(listings)
    views = [view for listing in listings for view in await account.ledger.listing(listing.listing_id)]
    root, redis = keys.root("default"), account.redis
    now_ms = (await account.ledger.snapshot()).now_ms
    for at in range(0, len(views), _ROWS):
        async with redis.pipeline(transaction=False) as pipe:
            for view in views[at : at + _ROWS]:
                row: dict[Any, Any] = {"stage": "generating", "job_id": view.photo_id, "created_ms": now_ms}
                pipe.hset(f"{root}p:{view.key}", mapping=row)
                pipe.hset(f"{root}jobs", f"j:{view.photo_id}", view.key)
                pipe.zadd(f"{root}slots", {view.key: now_ms})
            await pipe.execute()
    moved: Any = redis.hset(f"{root}stages", mapping={Stage.ACCEPTED.value: 0, Stage.GENERATING.value: len(views)})
    await moved
    backlogs = [name async for name in redis.scan_iter(f"{root}backlog:*")]
    await redis.delete(f"{root}partners", *backlogs)


async def send(url: str, load: Sequence[Delivery], rate: float) -> tuple[list[float], int, float]:
    """Send the load at its rate; return the latencies in ms, how many were not answered as they should, the time."""
    latencies: list[float] = []
    wrong = 0
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        begun_s = time.perf_counter()

        async def one(delivery: Delivery, due_s: float) -> None:
            nonlocal wrong
            headers = {"x-katalo-signature": delivery.signature, "Content-Type": "application/json"}
            async with session.post(url, data=delivery.body, headers=headers) as answer:
                await answer.read()
                wrong += answer.status != delivery.status
            latencies.append((time.perf_counter() - due_s) * 1000)

        tasks = []
        for number, delivery in enumerate(load):
            due_s = begun_s + number / rate
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            tasks.append(asyncio.create_task(one(delivery, due_s)))
        failed = [result for result in await asyncio.gather(*tasks, return_exceptions=True) if result is not None]
        return latencies, wrong + len(failed), time.perf_counter() - begun_s


@contextmanager
def serving(environ: dict[str, str], core: int) -> Iterator[tuple[str, int]]:
    """Serve a gateway on one core; give its address and process id."""
    ours = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        process = spawn(
            [sys.executable, "-m", "worker.cli", "gateway", "--port", "0"], environ=environ, output=subprocess.PIPE
        )
    finally:
        os.sched_setaffinity(0, ours)
    assert process.stdout is not None
    try:
        said: list[str] = []
        # What it warns of comes before its address.
        while not (line := process.stdout.readline().decode()).startswith("gateway: "):
            if not line:
                message = f"the gateway did not start: {''.join(said)}"
                raise RuntimeError(message)
            said.append(line)
        yield line.split()[1].rstrip(",").removesuffix(ROUTE), process.pid
    finally:
        stop(process, within_s=15)
        process.stdout.close()


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(rate: float, seconds: float) -> Figures:
    """Run the load once."""
    cores = sorted(os.sched_getaffinity(0))
    jobs, load = deliveries(int(rate * seconds))
    with tempfile.TemporaryDirectory() as name:
        # Redis and this process on the other cores, as inherited.
        os.sched_setaffinity(0, set(cores[1:]) or set(cores))
        with embedded_redis(Path(name)) as redis:
            given = {
                "STAGECREW_REDIS_URL": redis.url,
                "KATALO_WEBHOOK_SECRET": SECRET,
                "STAGECREW_WEBHOOK_PUBLIC_URL": "https://hooks.example.com",
                "STAGECREW_LOG_LEVEL": "ERROR",
            }
            with serving({**os.environ, **given}, cores[0]) as (address, pid):
                return asyncio.run(
                    _run(load_settings(given), jobs=jobs, load=load, url=f"{address}{ROUTE}", rate=rate, pid=pid)
                )


async def _run(
    settings: Settings, *, jobs: Sequence[str], load: Sequence[Delivery], url: str, rate: float, pid: int
) -> Figures:
    async with open_account(settings) as account:
        await in_flight(account, jobs)
        before_s = cpu_s(pid)
        latencies, wrong, seconds = await send(url, load, rate)
        share = (cpu_s(pid) - before_s) / seconds
        snapshot, tally = await account.ledger.snapshot(), await account.inbox.tally()
    moved = snapshot.stages.get(Stage.STORING, 0)
    expected = Counter(delivery.status for delivery in load)
    assert tally.outcomes[Outcome.REFUSED] == expected[401]
    return Figures(
        sent=len(load),
        lost=wrong + len(jobs) - moved,
        moved=moved,
        refused=tally.outcomes[Outcome.REFUSED],
        duplicates=tally.outcomes[Outcome.DUPLICATE],
        latencies_ms=sorted(latencies),
        cpu_share=share,
        seconds=seconds,
    )


def main() -> None:
    """Measure and print one Markdown table; exit 1 when a webhook was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=500.0, help="webhooks a second")
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    found = measure(given.rate, given.seconds)

    def at(share: float) -> str:
        return f"{found.latencies_ms[min(len(found.latencies_ms) - 1, int(share * len(found.latencies_ms)))]:.1f} ms"

    rows = [
        ("webhooks sent", f"{found.sent} in {found.seconds:.1f} s ({found.sent / found.seconds:.0f} a second)"),
        ("lost or answered wrongly", str(found.lost)),
        ("photos moved on", str(found.moved)),
        ("duplicates dropped, forged refused", f"{found.duplicates}, {found.refused}"),
        ("answered within: 50 %, 95 %, 99 %, all", f"{at(0.5)}, {at(0.95)}, {at(0.99)}, {at(1)}"),
        (
            "CPU of the gateway",
            f"{found.cpu_share:.0%} of a core, {found.cpu_share * 1000 / given.rate:.2f} ms a webhook",
        ),
    ]
    lines = ["| figure | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.exit(1 if found.lost else 0)


if __name__ == "__main__":
    main()
