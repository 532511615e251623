"""What all tasks share: they check what they were given and hand it to the process's event loop."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from worker import process
from worker.core.photo import StepName

logger = logging.getLogger(__name__)

#: A batch as it travels: [photo key, lease token, "listing/photo"] each.
Photos = list[list[str]]

_PARTS: Final = 3


def run(step: StepName, photos: Photos, account: str, newer: Mapping[str, Any]) -> dict[str, str]:
    """Run one step for a batch of an account's leased photos.

    A message that says more than this release knows (`newer`, or more parts a photo) is a newer release's: its leases
    are given back, for its own workers. Raises TypeError for arguments that no dispatcher sends.
    """
    leases = [_lease(photo) for photo in photos]
    if process.current is None:
        message = "stagecrew tasks run in a stagecrew worker: start one with `stagecrew worker`"
        raise RuntimeError(message)
    if newer or any(len(photo) > _PARTS for photo in photos):
        logger.warning("a newer release's message is left to its workers", extra={"step": step.value})
        return process.current.leave(leases, account)
    return process.current.run_batch(step, leases, account)


def _lease(photo: object) -> tuple[str, str, str]:
    if isinstance(photo, list) and len(photo) >= _PARTS and all(isinstance(part, str) for part in photo[:_PARTS]):
        key, token, label = photo[:_PARTS]
        return (key, token, label)
    message = f"a leased photo is [key, token, label], not {photo!r}"
    raise TypeError(message)
