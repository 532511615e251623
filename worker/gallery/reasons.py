"""What to do about a photo that is not staged; pure."""

from __future__ import annotations

from typing import Final

from worker.core.photo import Stage

#: Stages on the way need nothing.
ON_ITS_WAY: Final = "It is on its way: nothing is to be done."


def remedy(stage: Stage, name: str) -> str:
    """Return what a person can do about a photo in a stage; `name` is its `LISTING/PHOTO`, as commands take it."""
    if stage is Stage.FAILED:
        return f"Mend what it says; then `stagecrew replay {name}` tries again: a job that failed is bought anew."
    if stage is Stage.UNCERTAIN:
        return f"Its job may exist and be billed: look for it, then `stagecrew resolve {name}` says what became of it."
    if stage is Stage.PARKED:
        return "It goes on by itself when the cause is gone; `stagecrew resume` ends a pause."
    if stage is Stage.CANCELLED:
        return "It was withdrawn; enqueue it again to have it staged."
    return "" if stage is Stage.DONE else ON_ITS_WAY
