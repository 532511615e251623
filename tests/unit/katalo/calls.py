"""Every call of the client, as the tests make them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from worker.katalo.client import KataloClient
from worker.katalo.errors import KataloError

KEY = "kat_live_abc.5ecretsecret"
Call = Callable[[KataloClient], Awaitable[Any]]


async def CREATE(door: KataloClient) -> Any:  # noqa: N802 - a constant to the tests
    return await door.create_generation(b'{"a": 1}', "generation-1")


async def READ(door: KataloClient) -> Any:  # noqa: N802 - a constant to the tests
    return await door.generation("job_1")


CALLS: list[tuple[Call, str, str, str | None]] = [
    (CREATE, "POST", "/api/v1/generations", "generation-1"),
    (lambda door: door.regenerate("job_1", b"{}", "re-1"), "POST", "/api/v1/generations/job_1/regenerate", "re-1"),
    (READ, "GET", "/api/v1/generations/job_1", None),
    (lambda door: door.create_source_from_url(b"{}", "source-1"), "POST", "/api/v1/source-assets", "source-1"),
    (
        lambda door: door.upload_source(b"jpeg", "a.jpg", "image/jpeg", "source-2"),
        "POST",
        "/api/v1/source-assets",
        "source-2",
    ),
    (lambda door: door.ingest("ing_1"), "GET", "/api/v1/source-assets/ing_1", None),
    (lambda door: door.usage(), "GET", "/api/v1/usage/summary", None),
    (lambda door: door.billing(), "GET", "/api/v1/billing/events?limit=100", None),
    (lambda door: door.billing("c/1 &", limit=7), "GET", "/api/v1/billing/events?limit=7&cursor=c%2F1+%26", None),
]
GOOD = {"job_id": "job_1", "ingest_id": "ing_1", "status": "queued"}


async def over_http(address: str, *calls: Call, **limits: float) -> list[Any]:
    """Return the answers and errors of `calls`, one after another over one client."""
    found: list[Any] = []
    async with KataloClient(base_url=address, api_key=KEY, **limits) as door:
        for call in calls:
            try:
                found.append(await call(door))
            except KataloError as error:
                found.append(error)
    return found
