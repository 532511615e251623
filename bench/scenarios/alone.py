"""One photo alone on an idle fleet: what we add to the API's own time.

From just before the enqueue to the completion message, less

* the ingest's and the job's own durations, from the arrival of their POST, as the sandbox's books have them;
* for the ingest and the job each: the time from their end until the read that saw it was allowed by our own cadence
  (its due time in the ledger). What that read came later than allowed counts. With webhooks: until the sandbox began to
  deliver.

So the overhead holds the enqueue, every hop from Redis over the dispatcher and the broker to the worker, reading and
sending the source, all calls, late reads, the download, storing, and the completion. All in real ms; the median is
reported. For the peers no due time is known, so beside it stands the same with the poll waits in it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from statistics import median
from typing import Any, Final

from bench.books import overheads_ms, wall_ms
from bench.contenders.contender import Deadline, RunFailed
from bench.contenders.fleet import Fleet, listing, running_fleet
from bench.contenders.stagecrew import completed
from bench.figures import MS, OURS, Figure, Findings
from bench.scenarios.options import Options
from bench.work import Work
from worker.core.identity import photo_key
from worker.core.photo import StepName
from worker.sandbox.config import SandboxConfig
from worker.services import Account

PHOTOS: Final = 12
#: Slow enough that the pauses between reads are long against the sampling.
SPEED: Final = 5.0
MOST_MS: Final = 150.0
#: How often the due times are looked at, in seconds: a photo waits for its read much longer than this.
SAMPLE_S: Final = 0.01
READS: Final = (StepName.POLL_INGEST, StepName.POLL_GENERATION)

#: Photo id -> step -> the due times that its reads had, in ms of Redis's clock, which is this machine's.
Dues = dict[str, dict[StepName, set[float]]]


def alone(options: Options) -> Findings:
    """Measure every contender with one photo at a time."""
    config = SandboxConfig(speed=SPEED, picture="tiny", ingest_min_s=0.5, ingest_max_s=1.5, job_min_s=4, job_max_s=8)
    photos = min(PHOTOS, options.photos)
    beyond, whole = {}, {}
    for contender in options.contenders:
        if contender.name == OURS:
            beyond[OURS], whole[OURS] = _ours(options, config, photos, webhooks=False)
        else:
            run = options.arena.run(contender, config, photos, one_by_one=True)
            found = overheads_ms(run.books, run.spent.begun_ms, run.spent.done_ms, config.speed)
            whole[contender.name] = median(found.values())
        options.say(f"alone: {contender.title}: {whole[contender.name]:.0f} ms beyond the API's own time")
    figures = [
        _figure("one photo alone: beyond the API's own time and the poll interval, median", beyond),
        Figure(title="one photo alone: the same with the waits between reads, median", unit=MS, values=whole),
    ]
    if OURS in beyond:
        told, _ = _ours(options, config, photos, webhooks=True)
        options.say(
            f"alone: stagecrew, webhooks: {told:.0f} ms beyond the API's own time and the ingest's poll interval"
        )
        figures.insert(1, _figure("one photo alone, webhooks: the same, median", {OURS: told}))
    return Findings(figures=tuple(figures))


def _figure(title: str, values: Mapping[str, float]) -> Figure:
    holds = values[OURS] <= MOST_MS if OURS in values else None
    return Figure(title=title, unit=MS, values=values, asked="≤ 150 ms", holds=holds)


def _ours(options: Options, config: SandboxConfig, photos: int, *, webhooks: bool) -> tuple[float, float]:
    """Return the medians without and with the waits between reads."""
    with options.arena.open(config, photos, webhooks=webhooks) as (work, sandbox), running_fleet(work) as fleet:
        begun_ms, dues = fleet.ask(lambda account: _one_by_one(account, fleet))
        done_ms = fleet.ask(completed)
        books = sandbox.books()
    whole = overheads_ms(books, begun_ms, done_ms, config.speed)
    waits = waits_ms(books, dues, config.speed)
    return median(whole[photo] - waits[photo] for photo in whole), median(whole.values())


async def _one_by_one(account: Account, fleet: Fleet) -> tuple[dict[str, float], Dues]:
    begun_ms, dues = {}, Dues()
    await account.redis.ping()
    for number in range(fleet.work.photos):
        one = listing(_only(fleet.work, number), listing_id=f"alone-{number}", first=number)
        begun_ms[str(number)] = time.time() * 1000
        await account.ledger.enqueue([one])
        dues[str(number)] = await _watch(account, fleet, photo_key(one.listing_id, str(number)), number + 1)
    return begun_ms, dues


def _only(work: Work, number: int) -> Work:
    from dataclasses import replace  # noqa: PLC0415

    return replace(work, photos=number + 1)


async def _watch(account: Account, fleet: Fleet, key: str, done: int) -> dict[StepName, set[float]]:
    """Note the due times of a photo's reads until it is done."""
    root = account.scripts.root
    found: dict[StepName, set[float]] = {step: set() for step in READS}
    deadline = Deadline("stagecrew, one photo alone", fleet.log, within_s=120)
    while True:
        async with account.redis.pipeline(transaction=False) as pipe:
            for step in READS:
                pipe.zscore(f"{root}due:{step}", key)
            pipe.hmget(f"{root}stages", "done", "failed")
            *scores, (ended, failed) = await pipe.execute()
        for step, score in zip(READS, scores, strict=True):
            if score is not None:
                found[step].add(float(score))
        if int(failed or 0):
            raise RunFailed("stagecrew: a photo failed while it was staged alone")
        if int(ended or 0) >= done:
            return found
        deadline.check()
        await asyncio.sleep(SAMPLE_S)


def waits_ms(books: Mapping[str, Any], dues: Dues, speed: float) -> dict[str, float]:
    """Return how long each photo's ingest and job were over and not yet allowed to be read, in real ms.

    A job whose end a webhook told was waiting until the first delivery began.
    """
    ingests = {ingest["asset_id"]: ingest for ingest in books["ingests"]}
    found = {}
    for job in books["jobs"]:
        photo = job["metadata"]["photo_id"]
        ingest = ingests[job["asset_id"]]
        waited = _wait_ms(books, ingest["ready_ms"], ingest["seen_ms"], dues[photo][StepName.POLL_INGEST], speed)
        if job["notified_ms"] is not None:
            waited += (job["notified_ms"] - job["ends_ms"]) / speed
        else:
            waited += _wait_ms(books, job["ends_ms"], job["seen_ms"], dues[photo][StepName.POLL_GENERATION], speed)
        found[photo] = waited
    return found


def _wait_ms(books: Mapping[str, Any], ended_ms: float, seen_ms: float, dues: set[float], speed: float) -> float:
    seen, ended = wall_ms(books, seen_ms, speed), wall_ms(books, ended_ms, speed)
    allowed = max((due for due in dues if due <= seen), default=ended)
    return max(0.0, allowed - ended)
