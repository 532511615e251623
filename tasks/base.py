"""What all tasks share: they check what they were given and hand it to the process's event loop."""

from __future__ import annotations

from typing import Final

from worker import process
from worker.core.photo import StepName

#: A batch as it travels: [photo key, lease token, "listing/photo"] each.
Photos = list[list[str]]

_PARTS: Final = 3


def run(step: StepName, photos: Photos, account: str) -> dict[str, str]:
    """Run one step for a batch of an account's leased photos.

    Raises TypeError for arguments that no dispatcher of ours sent.
    """
    leases = [_lease(photo) for photo in photos]
    if process.current is None:
        message = "stagecrew tasks run in a stagecrew worker: start one with `stagecrew worker`"
        raise RuntimeError(message)
    return process.current.run_batch(step, leases, account)


def _lease(photo: object) -> tuple[str, str, str]:
    if isinstance(photo, list) and len(photo) == _PARTS and all(isinstance(part, str) for part in photo):
        key, token, label = photo
        return (key, token, label)
    message = f"a leased photo is [key, token, label], not {photo!r}"
    raise TypeError(message)
