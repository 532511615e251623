"""What people asked of a photo while it could not be stopped: it ends or is parked at the first step where it can be.

Guarantee: a photo that was cancelled or paused after its create had been sent, and whose create turned out to have been
refused, is not sent again; a paid result that is to be dropped is not stored, and one that could not be made is no
failure.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Final

from worker.core.decide import INTENT_FIELDS
from worker.core.events import photo_cancelled
from worker.core.photo import UNPAID, Photo, Stage
from worker.core.request import dumps
from worker.core.step import Ending, Step

#: What the row of a cancelled photo need not know; its job's id stays, so that the job is read again if it is wanted.
_WORKING: Final = ("ingest_id", "source_asset_id", "source_sha256", "outputs", "created_ms", "rereads")


def interruption(photo: Photo) -> Step | None:
    """Return the step that a person's wish makes of this one, or None."""
    if photo.cancel is not None and (photo.stage in UNPAID or (photo.stage, photo.cancel) == (Stage.STORING, "drop")):
        return _cancelled(photo, paid=photo.stage is Stage.STORING)
    if photo.pause is not None and photo.stage in UNPAID:
        return _parked(photo, json.loads(photo.pause))
    return None


def or_cancelled(photo: Photo, step: Step) -> Step:
    """Return `step` with what becomes of the photo instead if it was cancelled after its create had been sent.

    Whoever opened the lease can't know: it may be cancelled until the very moment in which the step is settled.
    """
    refused = step.stage in UNPAID and step.release_slot
    if not refused and step.stage is not Stage.FAILED:
        return step
    ended = _cancelled(photo, paid=photo.job_id is not None)
    return replace(step, if_cancelled=replace(ended, release_slot=step.release_slot, unspent=step.unspent))


def _cancelled(photo: Photo, *, paid: bool) -> Step:
    return Step(
        ending=Ending.GO,
        stage=Stage.CANCELLED,
        event=photo_cancelled(photo, paid=paid),
        drop=(*INTENT_FIELDS, *_WORKING),
    )


def _parked(photo: Photo, note: dict[str, str]) -> Step:
    """Return what `worker/lua/park.lua` does, as a step."""
    by = f"by {note['by']}" if note["by"] else ""
    return Step(
        ending=Ending.GO,
        stage=Stage.PARKED,
        fields={"parked_for": dumps({**note, "from": photo.stage.value, "since_ms": photo.now_ms})},
        drop=("pause",),
        error_code=note["why"],
        error_message=": ".join(part for part in (by, note["note"]) if part),
    )
