"""The client of all public routes. One attempt a call: it neither sleeps nor retries nor follows redirects.

Writes take the exact bytes to send, so that a repeated call repeats them; their Idempotency-Key is the caller's.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Self
from urllib.parse import quote

import httpx
from httpx_aiohttp import AiohttpTransport

from worker.katalo.errors import KataloError, NotSent, OutcomeUnknown, error_from_response
from worker.katalo.models import BillingPage, Ingest, Job, UsageSummary, billing_of, ingest_of, job_of, usage_of

#: Contract, section 11: suggested limits, in seconds. The deadlines hold for a whole call.
CONNECT_S: Final = 5.0
CALL_S: Final = 30.0
UPLOAD_S: Final = 120.0
#: No answer of the API comes near this; a longer one is not read.
MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024

_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class KataloClient:
    """One organisation's door to the API; keeps its connections open until `aclose`."""

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        transport: httpx.AsyncBaseTransport | None = None,
        max_connections: int = 100,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Opens nothing yet. `transport` is the seam for tests; `now` dates a `Retry-After`."""
        limits = httpx.Limits(max_connections=max_connections, max_keepalive_connections=max_connections)
        self._http = httpx.AsyncClient(
            base_url=base_url,
            headers={"Authorization": f"Bearer {api_key}", "Accept": "application/json"},
            transport=transport or AiohttpTransport(limits=limits),
            timeout=httpx.Timeout(UPLOAD_S, connect=CONNECT_S, pool=CONNECT_S),
            follow_redirects=False,
        )
        self._now = now

    async def __aenter__(self) -> Self:
        """Use the client as a context manager to close it."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the client."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def upload_source(self, content: bytes, filename: str, media_type: str, key: str) -> Ingest:
        """`POST /source-assets` with the image's bytes. Raises KataloError."""
        body, content_type = multipart_body(content, filename, media_type)
        return await self._take_in(body, content_type, key, UPLOAD_S)

    async def create_source_from_url(self, body: bytes, key: str) -> Ingest:
        """`POST /source-assets` with `{"source_url": ...}`. Raises KataloError."""
        return await self._take_in(body, "application/json", key, CALL_S)

    async def _take_in(self, body: bytes, content_type: str, key: str, deadline_s: float) -> Ingest:
        name = "POST /source-assets"
        ingest = ingest_of(await self._write(name, "/api/v1/source-assets", body, content_type, key, deadline_s))
        if ingest.ingest_id is None and ingest.source_asset_id is None:
            raise OutcomeUnknown(name, "the answer has no ingest_id")
        return ingest

    async def ingest(self, ingest_id: str) -> Ingest:
        """`GET /source-assets/{ingest_id}`. Raises KataloError."""
        return ingest_of(await self._read("GET /source-assets", f"/api/v1/source-assets/{quote(ingest_id, safe='')}"))

    async def create_generation(self, body: bytes, key: str) -> Job:
        """`POST /generations`; the answer is sure to have a `job_id`. Raises KataloError."""
        return await self._create("POST /generations", "/api/v1/generations", body, key)

    async def regenerate(self, job_id: str, body: bytes, key: str) -> Job:
        """`POST /generations/{job_id}/regenerate`; the answer is sure to have a `job_id`. Raises KataloError."""
        path = f"/api/v1/generations/{quote(job_id, safe='')}/regenerate"
        return await self._create("POST /generations/regenerate", path, body, key)

    async def _create(self, name: str, path: str, body: bytes, key: str) -> Job:
        job = job_of(await self._write(name, path, body, "application/json", key, CALL_S))
        if job.job_id is None:
            raise OutcomeUnknown(name, "the answer has no job_id")
        return job

    async def generation(self, job_id: str) -> Job:
        """`GET /generations/{job_id}`: the truth about a job, with fresh URLs. Raises KataloError."""
        return job_of(await self._read("GET /generations", f"/api/v1/generations/{quote(job_id, safe='')}"))

    async def usage(self) -> UsageSummary:
        """`GET /usage/summary`. Raises KataloError."""
        return usage_of(await self._read("GET /usage/summary", "/api/v1/usage/summary"))

    async def billing(self, cursor: str | None = None, *, limit: int = 100) -> BillingPage:
        """`GET /billing/events`: one page of the ledger. Raises KataloError."""
        params = {"limit": str(limit), **({"cursor": cursor} if cursor else {})}
        return billing_of(await self._read("GET /billing/events", "/api/v1/billing/events", params))

    async def _write(  # noqa: PLR0913 - the parts of one call
        self, name: str, path: str, body: bytes, content_type: str, key: str, deadline_s: float
    ) -> Mapping[str, Any]:
        headers = {"Idempotency-Key": key, "Content-Type": content_type}
        return await self._call(name, self._http.build_request("POST", path, content=body, headers=headers), deadline_s)

    async def _read(self, name: str, path: str, params: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        return await self._call(name, self._http.build_request("GET", path, params=params), CALL_S)

    async def _call(self, name: str, request: httpx.Request, deadline_s: float) -> Mapping[str, Any]:
        try:
            async with asyncio.timeout(deadline_s):
                response = await self._http.send(request, stream=True)
                try:
                    content = await _bounded(name, response)
                finally:
                    await response.aclose()
        except _NOT_SENT as error:
            message = f"could not connect ({type(error).__name__}); is KATALO_BASE_URL right and the network up?"
            raise NotSent(name, message, retryable=True) from error
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
            raise OutcomeUnknown(name, f"no usable answer ({type(error).__name__})", retryable=True) from error
        if not response.is_success:
            raise error_from_response(name, response.status_code, content, response.headers, self._now())
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise OutcomeUnknown(name, "the answer is not JSON", status=response.status_code, retryable=True) from error
        if not isinstance(answer, dict):
            raise OutcomeUnknown(name, "the answer is not an object", status=response.status_code, retryable=True)
        # Some APIs wrap their objects; an only `data` object is looked into.
        inner = answer.get("data")
        return inner if len(answer) == 1 and isinstance(inner, dict) else answer


async def _bounded(name: str, response: httpx.Response) -> bytes:
    content = bytearray()
    async for piece in response.aiter_bytes():
        content += piece
        if len(content) > MAX_ANSWER_BYTES:
            raise OutcomeUnknown(name, f"the answer is longer than {MAX_ANSWER_BYTES} bytes", retryable=True)
    return bytes(content)


def multipart_body(content: bytes, filename: str, media_type: str) -> tuple[bytes, str]:
    """Return a multipart body with the one part `file`, and its Content-Type; the same input gives the same bytes."""
    boundary = f"stagecrew-{hashlib.sha256(content).hexdigest()[:32]}"
    quoted = filename.replace("\\", "_").replace('"', "_").replace("\r", "_").replace("\n", "_")
    head = (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="file"; filename="{quoted}"\r\n'
        f"Content-Type: {media_type}\r\n\r\n"
    )
    body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"


__all__ = ["KataloClient", "KataloError", "multipart_body"]
