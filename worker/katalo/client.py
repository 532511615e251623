"""The client of all public routes. One attempt a call: it neither sleeps nor retries nor follows redirects.

Writes take the exact bytes to send, so that a repeated call repeats them; their Idempotency-Key is the caller's. Every
call ends in an answer or in one error of `worker.katalo.errors`, whatever comes back.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Self, cast
from urllib.parse import quote, urlencode

import aiohttp
import httpx

from worker.katalo.accounting import BillingPage, UsageSummary, billing_of, usage_of
from worker.katalo.errors import KataloError, NotSent, OutcomeUnknown, error_from_response
from worker.katalo.fields import identifier
from worker.katalo.models import Ingest, Job, ingest_of, job_of
from worker.katalo.multipart import multipart_body
from worker.katalo.transport import in_pieces, pooled_transport, was_never_sent

#: Contract, section 11: suggested limits, in seconds. The last two hold for a whole call.
CONNECT_S: Final = 5.0
CALL_S: Final = 30.0
UPLOAD_S: Final = 120.0
#: No answer of the API comes near this; a longer one is not read.
MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024
#: Addresses that are kept taken apart: those of all jobs that are in flight, in any organisation.
_ADDRESSES: Final = 4096
#: Objects that an answer may be wrapped in.
_WRAPPERS: Final = ("data", "job", "generation", "ingest", "source_asset")
#: A shorter key is a word of a test's, which an answer may hold by chance.
_SHORTEST_KEY: Final = 8

_JSON: Final = "application/json"
_SOURCES: Final = "/api/v1/source-assets"
_GENERATIONS: Final = "/api/v1/generations"


@dataclass(slots=True)
class _Answer:
    """What has come of an answer so far; it may break off at any point."""

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytearray = field(default_factory=bytearray)
    complete: bool = False
    too_long: bool = False


class KataloClient:
    """One organisation's door to the API; keeps its connections open until `aclose`."""

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        transport: httpx.AsyncBaseTransport | None = None,
        max_connections: int = 100,
        connect_s: float = CONNECT_S,
        call_s: float = CALL_S,
        upload_s: float = UPLOAD_S,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Open nothing yet. `transport` is the seam for tests; `now` (aware) dates a `Retry-After`.

        Raises ValueError when the key can't stand in a header, or the address is none.
        """
        key = _checked(api_key)
        try:
            base = httpx.URL(base_url)
        except httpx.InvalidURL as error:
            raise ValueError(f"KATALO_BASE_URL is no address: {error}") from None
        # Straight to the transport: a client's cookies, redirects and merging of addresses cost as much as the call
        # and are not wanted. The deadlines of `_call` end a silent answer; only connecting has a limit of its own.
        self._transport = transport or pooled_transport(max_connections)
        self._base = str(base).rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}", "Accept": _JSON, "User-Agent": "stagecrew"}
        limits = {"connect": connect_s, "pool": connect_s, "read": max(call_s, upload_s), "write": upload_s}
        self._extensions = {"timeout": limits}
        self._key = key
        #: Grows with every other key.
        self.key_number = 0
        self._call_s = call_s
        self._upload_s = upload_s
        self._now = now

    async def __aenter__(self) -> Self:
        """Use the client as a context manager to close it."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the client."""
        await self.aclose()

    def use_key(self, api_key: str) -> bool:
        """Send this key from the next call on; False when it is the same. Raises ValueError as the constructor."""
        key = _checked(api_key)
        if key == self._key:
            return False
        self._key = key
        self.key_number += 1
        self._headers["Authorization"] = f"Bearer {key}"
        return True

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    async def upload_source(self, content: bytes, filename: str, media_type: str, idempotency_key: str) -> Ingest:
        """`POST /source-assets` with the image's bytes. Raises KataloError."""
        body, content_type = multipart_body(content, filename, media_type)
        return await self._take_in(body, content_type, idempotency_key, self._upload_s)

    async def create_source_from_url(self, body: bytes, idempotency_key: str) -> Ingest:
        """`POST /source-assets` with `{"source_url": ...}`. Raises KataloError."""
        return await self._take_in(body, _JSON, idempotency_key, self._call_s)

    async def ingest(self, ingest_id: str) -> Ingest:
        """`GET /source-assets/{ingest_id}`. Raises KataloError."""
        name = "GET /source-assets"
        return ingest_of(_about(await self._read(name, f"{_SOURCES}/{_in_path(name, ingest_id)}")))

    async def create_generation(self, body: bytes, idempotency_key: str) -> Job:
        """`POST /generations`; the answer is sure to have a `job_id`. Raises KataloError."""
        return await self._create("POST /generations", _GENERATIONS, body, idempotency_key)

    async def regenerate(self, job_id: str, body: bytes, idempotency_key: str) -> Job:
        """`POST /generations/{job_id}/regenerate`; the answer is sure to have a `job_id`. Raises KataloError."""
        name = "POST /generations/regenerate"
        path = f"{_GENERATIONS}/{_in_path(name, job_id)}/regenerate"
        return await self._create(name, path, body, idempotency_key)

    async def generation(self, job_id: str) -> Job:
        """`GET /generations/{job_id}`: the truth about a job, with fresh URLs. Raises KataloError."""
        name = "GET /generations"
        return job_of(_about(await self._read(name, f"{_GENERATIONS}/{_in_path(name, job_id)}")))

    async def usage(self) -> UsageSummary:
        """`GET /usage/summary`. Raises KataloError."""
        return usage_of(_about(await self._read("GET /usage/summary", "/api/v1/usage/summary")))

    async def billing(self, cursor: str | None = None, *, limit: int = 100) -> BillingPage:
        """`GET /billing/events`: one page of the ledger. Raises KataloError."""
        params = {"limit": str(limit), **({"cursor": cursor} if cursor else {})}
        found = await self._read("GET /billing/events", "/api/v1/billing/events", params, as_list=True)
        return billing_of(found if isinstance(found, list) else _about(found))

    async def _take_in(self, body: bytes, content_type: str, key: str, deadline_s: float) -> Ingest:
        name = "POST /source-assets"
        ingest = ingest_of(_about(await self._write(name, _SOURCES, body, content_type, key, deadline_s)))
        if ingest.ingest_id is None and ingest.source_asset_id is None:
            raise OutcomeUnknown(name, "the answer has no ingest_id", retryable=True)
        return ingest

    async def _create(self, name: str, path: str, body: bytes, key: str) -> Job:
        job = job_of(_about(await self._write(name, path, body, _JSON, key, self._call_s)))
        if job.job_id is None:
            raise OutcomeUnknown(name, "the answer has no job_id", retryable=True)
        return job

    async def _write(  # noqa: PLR0917 - the parts of one call, in the order of the request
        self, name: str, path: str, body: bytes, content_type: str, key: str, deadline_s: float
    ) -> object:
        headers = {"Idempotency-Key": key, "Content-Type": content_type, "Content-Length": str(len(body))}
        request = self._request(name, "POST", path, headers, in_pieces(body))
        return _json(name, await self._call(name, request, deadline_s))

    async def _read(
        self, name: str, path: str, params: Mapping[str, str] | None = None, *, as_list: bool = False
    ) -> object:
        query = f"?{urlencode(params)}" if params else ""
        request = self._request(name, "GET", f"{path}{query}", {}, b"")
        return _json(name, await self._call(name, request, self._call_s), as_list=as_list)

    def _request(
        self, name: str, method: str, path: str, headers: Mapping[str, str], body: bytes | AsyncIterator[bytes]
    ) -> httpx.Request:
        try:
            address = _address(f"{self._base}{path}")
            sent = {**self._headers, **headers}
            if not isinstance(body, bytes):
                return httpx.Request(method, address, headers=sent, content=body, extensions=self._extensions)
            # What httpx would work out from `content` is known here; working it out costs a sixth of a call.
            stream = httpx.ByteStream(body)
            request = httpx.Request(method, address, headers=sent, stream=stream, extensions=self._extensions)
        except (httpx.InvalidURL, UnicodeEncodeError) as error:
            raise NotSent(name, f"the request can't be written ({type(error).__name__})") from None
        request.read()
        return request

    async def _call(self, name: str, request: httpx.Request, deadline_s: float) -> _Answer:
        """Send once, and return the whole of a 2xx answer. Raises KataloError for everything else."""
        answer = _Answer()
        key, number = self._key, self.key_number
        trouble: Exception | None = None
        try:
            async with asyncio.timeout(deadline_s):
                await self._exchange(request, answer)
        except (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            trouble = error
        if answer.status is None and trouble is not None:
            # The transport's own word for it may be wrong (see worker.katalo.transport); its cause's is not.
            seen = type(trouble.__cause__ or trouble).__name__
            if was_never_sent(trouble):
                message = f"could not connect ({seen}); check KATALO_BASE_URL and the network"
                raise NotSent(name, message, retryable=True) from trouble
            raise OutcomeUnknown(name, f"no answer ({seen})", retryable=True) from trouble
        status = answer.status or 0
        if not httpx.codes.is_success(status):
            # What was refused stays refused, even if its reason broke off on the way.
            content = bytes(answer.content)
            if len(key) >= _SHORTEST_KEY:
                content = content.replace(key.encode(), b"***")
            refusal = error_from_response(name, status, content, answer.headers, self._now())
            refusal.key_number = number
            raise refusal
        if answer.too_long:
            raise OutcomeUnknown(name, f"the answer exceeds {MAX_ANSWER_BYTES} bytes", status=status, retryable=True)
        if not answer.complete:
            raise OutcomeUnknown(name, "the answer broke off", status=status, retryable=True) from trouble
        return answer

    async def _exchange(self, request: httpx.Request, answer: _Answer) -> None:
        response = await self._transport.handle_async_request(request)
        try:
            answer.status, answer.headers = response.status_code, response.headers
            # What is not encoded needs none of httpx's decoding, which costs more than reading it.
            stream = response.stream
            plain = isinstance(stream, httpx.AsyncByteStream) and "content-encoding" not in response.headers
            async for piece in cast("AsyncIterable[bytes]", stream) if plain else response.aiter_bytes():
                if len(answer.content) + len(piece) > MAX_ANSWER_BYTES:
                    answer.too_long = True
                    return
                answer.content += piece
            answer.complete = True
        finally:
            await response.aclose()


def _checked(api_key: str) -> str:
    key = api_key.strip()
    if not (key.isascii() and key.isprintable()):
        message = "the API key has characters that no key has; copy KATALO_API_KEY from the Katalo dashboard again"
        raise ValueError(message)
    return key


@lru_cache(maxsize=_ADDRESSES)
def _address(text: str) -> httpx.URL:
    """Return an address taken apart, which costs half a call: a job is read many times. Raises httpx.InvalidURL."""
    return httpx.URL(text)


def _json(name: str, answer: _Answer, *, as_list: bool = False) -> object:
    """Return the answer's object (or array); numbers with a point stay text where money may be among them."""
    try:
        found = json.loads(answer.content, parse_float=str if as_list else None)
    except (ValueError, RecursionError) as error:
        raise OutcomeUnknown(name, "the answer is not JSON", status=answer.status, retryable=True) from error
    if not isinstance(found, dict) and not (as_list and isinstance(found, list)):
        raise OutcomeUnknown(name, "the answer is not an object", status=answer.status, retryable=True)
    return found


def _about(found: object) -> Mapping[str, object]:
    """Return the object that an answer is about: itself, or the one that it does nothing but wrap."""
    answer: Mapping[str, object] = found if isinstance(found, dict) else {}
    inner = next((answer[name] for name in _WRAPPERS if isinstance(answer.get(name), dict)), None)
    return inner if isinstance(inner, dict) and len(answer) == 1 else answer


def _in_path(name: str, path_id: str) -> str:
    """Return an opaque id as one segment of a path. Raises NotSent when it can't be one."""
    if identifier(path_id) is None:
        raise NotSent(name, "the id can't stand in a path")
    return quote(path_id, safe="")


__all__ = ["KataloClient", "KataloError", "multipart_body"]
