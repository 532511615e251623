"""What people asked of a photo while it could not be stopped: it ends or is parked at the first step where it can be.

Guarantee: a photo that was cancelled or paused after its create had been sent, and whose create turned out to have been
refused, is not sent again; a paid result that is to be dropped is not stored.
"""

from __future__ import annotations

import json
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
        return Step(
            ending=Ending.GO,
            stage=Stage.CANCELLED,
            event=photo_cancelled(photo, paid=photo.stage is Stage.STORING),
            drop=(*INTENT_FIELDS, *_WORKING),
        )
    if photo.pause is not None and photo.stage in UNPAID:
        return _parked(photo, json.loads(photo.pause))
    return None


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
