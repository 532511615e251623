"""Deliveries of signed webhooks, with retries and the faults that are switched on."""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import hmac
import json
from typing import TYPE_CHECKING, Final

import aiohttp

from worker.sandbox import shapes
from worker.sandbox.books import Job, state_of

if TYPE_CHECKING:
    from worker.sandbox.api import Sandbox

#: Tries of one delivery, and the first pause between them in seconds of real time; it doubles.
TRIES: Final = 5
FIRST_PAUSE_S: Final = 0.5
TICK_S: Final = 0.05


class Webhooks:
    """The deliveries of one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        """Nothing is sent before `deliver_for_ever` runs."""
        self._sandbox = sandbox
        self._due: list[tuple[int, str, str]] = []
        self._running: set[asyncio.Task[None]] = set()

    def expect(self, job: Job, base: str) -> None:
        """Deliver the end of `job` when it comes, if it asked for that."""
        if job.webhook_url:
            heapq.heappush(self._due, (job.ends_ms, job.job_id, base))

    async def deliver_for_ever(self) -> None:
        """Send what has ended."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
            while True:
                while self._due and self._due[0][0] <= self._sandbox.books.now_ms():
                    _, job_id, base = heapq.heappop(self._due)
                    task = asyncio.create_task(self._deliver(session, self._sandbox.books.jobs[job_id], base))
                    self._running.add(task)
                    task.add_done_callback(self._running.discard)
                await asyncio.sleep(self._pause_s())

    def _pause_s(self) -> float:
        """Return how long nothing can be due: a delivery leaves when its job ends, not at the next tick."""
        if not self._due:
            return TICK_S
        left_ms = (self._due[0][0] - self._sandbox.books.now_ms()) / self._sandbox.config.speed
        return min(TICK_S, max(0.001, left_ms / 1000))

    async def _deliver(self, session: aiohttp.ClientSession, job: Job, base: str) -> None:
        sandbox = self._sandbox
        if sandbox.chance("webhooks_lost", sandbox.faults.webhooks_lost):
            return
        shown = shapes.job(sandbox.books, job, lambda name: sandbox.sign(base, name))
        state = state_of(job, sandbox.books.now_ms())
        names = ("job_id", "source_asset_id", "reference", "metadata", "outputs", "failure")
        event = {"event_type": f"generation.{'completed' if state == 'succeeded' else 'failed'}"}
        body = json.dumps(event | {name: shown[name] for name in names if shown[name] is not None}).encode()
        copies = 2 if sandbox.chance("webhooks_doubled", sandbox.faults.webhooks_doubled) else 1
        secret = sandbox.config.webhook_secret
        if sandbox.chance("webhooks_forged", sandbox.faults.webhooks_forged):
            secret = "somebody else's"  # noqa: S105 - a forged signature is the point
        for _ in range(copies):
            await self._send(session, job, body, secret)

    async def _send(self, session: aiohttp.ClientSession, job: Job, body: bytes, secret: str) -> None:
        signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {"x-katalo-signature": signature, "Content-Type": "application/json"}
        books = self._sandbox.books
        if job.notified_ms is None:
            job.notified_ms = books.now_ms()
        for tries in range(TRIES):
            try:
                async with session.post(
                    job.webhook_url or "", data=body, headers=headers, allow_redirects=False
                ) as response:
                    if response.ok:
                        books.tell(job)
                    if response.status < 500:  # noqa: PLR2004
                        books.tally.webhooks[str(response.status)] += 1
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(FIRST_PAUSE_S * 2**tries)
        self._sandbox.books.tally.webhooks["given up"] += 1
