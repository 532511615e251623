"""A plain asyncio script: httpx, a semaphore, a pause on 429, a read every two seconds. It forgets all when it ends.

`python -m bench.contenders.plain_script` with the work in BENCH_WORK.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any, Final

import httpx

from bench.contenders.contender import Look, Spent, script
from bench.contenders.results import write_completion, write_outputs, write_spent
from bench.meter import own_usage
from bench.work import Work

#: The pause after a refusal that names none, in seconds of the API's time.
PAUSE_S: Final = 2.0
#: Photos at once: as many as httpx keeps connections; with more it spends its time looking for a free one.
MOST: Final = 100
TOO_MANY: Final = 429


class PlainScript:
    """The contender."""

    name = "script"
    title = "asyncio script"

    def run(self, work: Work, look: Look) -> Spent:
        """Run the script to its end. Raises RunFailed."""
        with script("bench.contenders.plain_script", work) as wait:
            return wait(look)


class Stager:
    """Stages photos, each from its file to its completion."""

    def __init__(self, work: Work, client: httpx.AsyncClient) -> None:
        self._work = work
        self._client = client
        self._slots = asyncio.Semaphore(1 if work.one_by_one else min(work.in_flight, MOST))

    async def stage(self, number: int) -> None:
        """Stage one photo."""
        async with self._slots:
            begun_ms = time.time() * 1000
            data = await asyncio.to_thread(self._work.source(number).read_bytes)
            ingest = await self._call(
                "POST", "/source-assets", key=f"source-{number}", files={"file": (f"{number}.jpg", data, "image/jpeg")}
            )
            while ingest["status"] != "ready":
                await self._pause(self._work.poll_s)
                ingest = await self._call("GET", f"/source-assets/{ingest['ingest_id']}")
            body = self._work.settings_of_job(number, ingest["source_asset_id"])
            job = await self._call("POST", "/generations", key=f"generation-{number}", json=body)
            while job["status"] not in {"succeeded", "failed"}:
                await self._pause(self._work.poll_s)
                job = await self._call("GET", f"/generations/{job['job_id']}")
            pictures = {output["kind"]: await self._download(output["url"]) for output in job["outputs"]}
            await asyncio.to_thread(write_outputs, self._work, number, job, pictures)
            write_completion(self._work, number, begun_ms)

    async def _call(self, method: str, path: str, *, key: str | None = None, **content: Any) -> dict[str, Any]:
        headers = {"Idempotency-Key": key} if key else {}
        while True:
            answer = await self._client.request(method, f"/api/v1{path}", headers=headers, **content)
            if answer.status_code != TOO_MANY:
                answer.raise_for_status()
                found: dict[str, Any] = answer.json()
                return found
            await self._pause(answer.json()["error"]["retry_after"] or PAUSE_S)

    async def _download(self, url: str) -> bytes:
        answer = await self._client.get(url)
        answer.raise_for_status()
        return answer.content

    async def _pause(self, api_s: float) -> None:
        await asyncio.sleep(api_s / self._work.speed)


async def main(work: Work) -> None:
    """Stage all photos."""
    before, began_s = own_usage(), time.monotonic()
    headers = {"Authorization": f"Bearer {work.api_key}"}
    async with httpx.AsyncClient(base_url=work.base_url, headers=headers, timeout=60) as client:
        stager = Stager(work, client)
        await asyncio.gather(*(stager.stage(number) for number in range(work.photos)))
    write_spent(work, time.monotonic() - began_s, before)


if __name__ == "__main__":
    asyncio.run(main(Work.from_json(os.environ["BENCH_WORK"])))
