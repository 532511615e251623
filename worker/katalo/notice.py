"""What a webhook says, in every reading of the contract's open points (section 6; section 12, points 33 to 38).

A notice is not the record: only one that says plainly that its job succeeded, with outputs, is taken at its word.
Everything else makes the job be read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from worker.katalo.fields import filled, identifier
from worker.katalo.models import Output, failure_of, job_of

COMPLETED: Final = "generation.completed"
FAILED: Final = "generation.failed"
#: No id or name of ours or of the API's is longer; what is, can't name a job and would only fill Redis.
MAX_NAME_CHARACTERS: Final = 256
#: States in a payload that agree with `generation.completed`; whether it has one at all is unknown.
_AGREEING: Final = frozenset({"", "succeeded", "completed"})


class UnreadableNotice(ValueError):  # noqa: N818 - it names what was found
    """The body is signed and is no JSON object; the message says what it is instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One webhook. `outputs` are there only when it can be taken at its word; without them the job is to be read."""

    event_type: str
    job_id: str | None
    reference: str | None
    source_asset_id: str | None
    outputs: tuple[Output, ...]


def notice_of(body: bytes) -> Notice:
    """Return what a signed body says. Raises UnreadableNotice."""
    try:
        found = json.loads(body)
    except RecursionError:
        message = "it is nested too deeply"
        raise UnreadableNotice(message) from None
    except ValueError:
        message = "it is no JSON"
        raise UnreadableNotice(message) from None
    if not isinstance(found, Mapping):
        message = f"it is a JSON {type(found).__name__}, not an object"
        raise UnreadableNotice(message)
    job = job_of(found)
    event_type = (filled(found.get("event_type")) or "").strip().lower()[:MAX_NAME_CHARACTERS]
    plain = (
        event_type == COMPLETED
        and failure_of(found) is None
        and job.status_text.strip().lower() in _AGREEING
        and _name(job.job_id) is not None
    )
    return Notice(
        event_type=event_type,
        job_id=_name(job.job_id),
        reference=_name(identifier(job.reference)),
        source_asset_id=_name(job.source_asset_id),
        outputs=job.outputs if plain else (),
    )


def _name(text: str | None) -> str | None:
    return text if text is not None and len(text) <= MAX_NAME_CHARACTERS else None
