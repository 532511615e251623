"""Binds what a line is about: all that is logged from here on in the same task, by whomever, names the photo."""

from __future__ import annotations

import structlog


def about(listing_id: str, photo_id: str, *, step: str | None = None, job: str | None = None) -> None:
    """Bind a photo, and its step and job where they are known, to all lines of the running asyncio task."""
    bound = {"listing": listing_id, "photo": photo_id}
    if step:
        bound["step"] = step
    if job:
        bound["job"] = job
    structlog.contextvars.bind_contextvars(**bound)
