"""The floor: what the work costs at least in Python. aiohttp, plain files, a limiter in the process, no durability.

It loses everything when it ends, and a second one beside it would overrun the budgets: it is a measure, not a peer to
use. `python -m bench.contenders.floor_script` with the work in BENCH_WORK.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import deque
from typing import Any, Final

import aiohttp

from bench.contenders.contender import Look, Spent, script
from bench.contenders.results import write_completion, write_outputs, write_spent
from bench.meter import own_usage
from bench.work import Work

#: Margin on a window for the way to the API, in seconds of real time.
GUARD_S: Final = 0.2
WINDOW_S: Final = 60.0
#: Calls a minute of the API's time (contract, section 5; ingest reads as the sandbox has them).
LIMITS: Final = {"source_assets": 120, "generations": 120, "ingest_reads": 120, "generation_reads": 1200}
#: First read of an ingest and of a job, in seconds of the API's time: sooner than that few are over.
FIRST_INGEST_READ_S: Final = 3.0
FIRST_JOB_READ_S: Final = 4.0


class FloorScript:
    """The contender."""

    name = "floor"
    title = "floor script"

    def run(self, work: Work, look: Look) -> Spent:
        """Run the script to its end. Raises RunFailed."""
        with script("bench.contenders.floor_script", work) as wait:
            return wait(look)


class Limiter:
    """`count` calls in every sliding window, in the order in which they ask."""

    def __init__(self, count: int, window_s: float) -> None:
        self._count = count
        self._window_s = window_s
        self._sent: deque[float] = deque()
        self._turn = asyncio.Lock()

    async def take(self) -> None:
        """Wait until a call may be sent."""
        async with self._turn:
            if len(self._sent) == self._count:
                wait_s = self._sent.popleft() + self._window_s - time.monotonic()
                if wait_s > 0:
                    await asyncio.sleep(wait_s)
            self._sent.append(time.monotonic())


class Stager:
    """Stages photos: sources are taken in ahead, so that a slot which becomes free is filled at once."""

    def __init__(self, work: Work, session: aiohttp.ClientSession) -> None:
        self._work = work
        self._session = session
        window_s = WINDOW_S / work.speed + GUARD_S
        self._limiters = {route: Limiter(count, window_s) for route, count in LIMITS.items() if work.limited}
        self._ahead = asyncio.Semaphore(1 if work.one_by_one else 2 * work.in_flight)
        self._slots = asyncio.Semaphore(work.in_flight)

    async def stage(self, number: int) -> None:
        """Stage one photo."""
        async with self._ahead:
            begun_ms = time.time() * 1000
            asset_id = await self._take_in(number)
            async with self._slots:
                job = await self._generate(number, asset_id)
            pictures = {output["kind"]: await self._download(output["url"]) for output in job["outputs"]}
            write_outputs(self._work, number, job, pictures)
            write_completion(self._work, number, begun_ms)

    async def _take_in(self, number: int) -> str:
        form = aiohttp.MultipartWriter("form-data")
        part = form.append(self._work.source(number).read_bytes(), {"Content-Type": "image/jpeg"})
        part.set_content_disposition("form-data", name="file", filename=f"{number}.jpg")
        ingest = await self._call("source_assets", "POST", "/source-assets", key=f"source-{number}", data=form)
        await self._pause(FIRST_INGEST_READ_S)
        while (ingest := await self._call("ingest_reads", "GET", f"/source-assets/{ingest['ingest_id']}"))[
            "status"
        ] != "ready":
            await self._pause(self._work.poll_s)
        return str(ingest["source_asset_id"])

    async def _generate(self, number: int, asset_id: str) -> dict[str, Any]:
        body = json.dumps(self._work.settings_of_job(number, asset_id))
        job = await self._call("generations", "POST", "/generations", key=f"generation-{number}", data=body)
        await self._pause(FIRST_JOB_READ_S)
        while (job := await self._call("generation_reads", "GET", f"/generations/{job['job_id']}"))["status"] not in {
            "succeeded",
            "failed",
        }:
            await self._pause(self._work.poll_s)
        return job

    async def _call(self, route: str, method: str, path: str, *, key: str = "", data: Any = None) -> dict[str, Any]:
        if limiter := self._limiters.get(route):
            await limiter.take()
        headers = {"Idempotency-Key": key} if key else {}
        async with self._session.request(method, f"/api/v1{path}", headers=headers, data=data) as answer:
            answer.raise_for_status()
            found: dict[str, Any] = await answer.json()
            return found

    async def _download(self, url: str) -> bytes:
        async with self._session.get(url) as answer:
            answer.raise_for_status()
            return await answer.read()

    async def _pause(self, api_s: float) -> None:
        await asyncio.sleep(api_s / self._work.speed)


async def main(work: Work) -> None:
    """Stage all photos."""
    before, began_s = own_usage(), time.monotonic()
    headers = {"Authorization": f"Bearer {work.api_key}"}
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(
        work.base_url, headers=headers, connector=connector, timeout=timeout, skip_auto_headers=("User-Agent",)
    ) as session:
        stager = Stager(work, session)
        await asyncio.gather(*(stager.stage(number) for number in range(work.photos)))
    write_spent(work, time.monotonic() - began_s, before)


if __name__ == "__main__":
    asyncio.run(main(Work.from_json(os.environ["BENCH_WORK"])))
