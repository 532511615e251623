"""Deliveries of signed webhooks, with retries and the faults that are switched on."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import heapq
import hmac
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

import aiohttp

from worker.sandbox import shapes
from worker.sandbox.books import Job, state_of

if TYPE_CHECKING:
    from worker.sandbox.api import Sandbox

#: Tries of one delivery, and the first and the longest pause between them in seconds of real time; it doubles. All
#: together about a minute: a receiver may be restarted.
TRIES: Final = 11
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 8.0
TICK_S: Final = 0.05
#: How much later than its turn a delivery comes, in seconds of the API's time.
OUT_OF_ORDER_S: Final = (5.0, 20.0)
SLOW_S: Final = (60.0, 180.0)
#: An early one is tried once, for so long, before the create is answered.
EARLY_S: Final = 5.0


class Webhooks:
    """The deliveries of one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        """Nothing is sent before `delivering`."""
        self._sandbox = sandbox
        self._session: aiohttp.ClientSession | None = None
        #: When it is sent (API time, ms), of which job, with which address of pictures, and whether it was put off.
        self._due: list[tuple[int, str, str, bool]] = []
        self._running: set[asyncio.Task[None]] = set()

    def expect(self, job: Job, base: str) -> None:
        """Deliver the end of `job` when it comes, if it asked for that."""
        if job.webhook_url:
            heapq.heappush(self._due, (job.ends_ms, job.job_id, base, False))

    def forget(self) -> None:
        """Deliver nothing of what was expected so far; deliveries that have begun go on."""
        self._due.clear()

    async def deliver_now(self, job: Job, base: str) -> None:
        """Deliver the end of `job` before anything else is said about it; later again when nobody takes it."""
        task = self._begin(job, base)
        await asyncio.wait({task}, timeout=EARLY_S)

    @contextlib.asynccontextmanager
    async def delivering(self) -> AsyncIterator[None]:
        """Send what has ended while the block runs."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
            self._session = session
            tasks = asyncio.create_task(self._deliver_for_ever())
            try:
                yield
            finally:
                for task in (tasks, *self._running):
                    task.cancel()

    async def _deliver_for_ever(self) -> None:
        while True:
            while self._due and self._due[0][0] <= self._sandbox.books.now_ms():
                _, job_id, base, put_off = heapq.heappop(self._due)
                job = self._sandbox.books.jobs[job_id]
                if put_off or not self._put_off(job, base):
                    self._begin(job, base)
            await asyncio.sleep(self._pause_s())

    def _pause_s(self) -> float:
        """Return how long nothing can be due: a delivery leaves when its job ends, not at the next tick."""
        if not self._due:
            return TICK_S
        left_ms = (self._due[0][0] - self._sandbox.books.now_ms()) / self._sandbox.config.speed
        return min(TICK_S, max(0.001, left_ms / 1000))

    def _put_off(self, job: Job, base: str) -> bool:
        """Let later deliveries come first, when that fault is on."""
        sandbox, faults = self._sandbox, self._sandbox.faults
        for name, share, delay_s in (
            ("webhooks_slow", faults.webhooks_slow, SLOW_S),
            ("webhooks_out_of_order", faults.webhooks_out_of_order, OUT_OF_ORDER_S),
        ):
            if sandbox.chance(name, share):
                late_ms = sandbox.books.dice(name, job.job_id).uniform(*delay_s) * 1000
                heapq.heappush(self._due, (int(sandbox.books.now_ms() + late_ms), job.job_id, base, True))
                return True
        return False

    def _begin(self, job: Job, base: str) -> asyncio.Task[None]:
        task = asyncio.create_task(self._deliver(job, base))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _deliver(self, job: Job, base: str) -> None:
        sandbox = self._sandbox
        body = self._body(job, base)
        if sandbox.chance("webhooks_forged", sandbox.faults.webhooks_forged):
            forged = body.replace(b"generation.completed", b"generation.failed")
            await self._send(job.webhook_url or "", forged, "somebody else's", "forged ")
        if sandbox.chance("webhooks_lost", sandbox.faults.webhooks_lost):
            return
        if job.notified_ms is None:
            job.notified_ms = sandbox.books.now_ms()
        for _ in range(2 if sandbox.chance("webhooks_doubled", sandbox.faults.webhooks_doubled) else 1):
            if await self._send(job.webhook_url or "", body, sandbox.config.webhook_secret):
                sandbox.books.tell(job)

    def _body(self, job: Job, base: str) -> bytes:
        sandbox = self._sandbox
        shown = shapes.job(sandbox.books, job, lambda name: sandbox.sign(base, name))
        state = state_of(job, sandbox.books.now_ms())
        names = ("job_id", "source_asset_id", "reference", "metadata", "outputs", "failure")
        event = {"event_type": f"generation.{'completed' if state == 'succeeded' else 'failed'}"}
        return json.dumps(event | {name: shown[name] for name in names if shown[name] is not None}).encode()

    async def _send(self, url: str, body: bytes, secret: str, kind: str = "") -> bool:
        assert self._session is not None, "nothing is sent outside of `delivering`"
        signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {"x-katalo-signature": signature, "Content-Type": "application/json"}
        counted = self._sandbox.books.tally.webhooks
        for tries in range(TRIES):
            try:
                async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
                    if response.status < 500:  # noqa: PLR2004
                        counted[f"{kind}{response.status}"] += 1
                        return response.ok
            except (aiohttp.ClientError, TimeoutError):
                pass
            if tries < TRIES - 1:
                await asyncio.sleep(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**tries))
        counted[f"{kind}given up"] += 1
        return False
