"""What all tasks share: they check what they were given and hand it to the process's event loop."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from worker import process
from worker.core.photo import StepName

logger = logging.getLogger(__name__)

#: A batch as it travels: [photo key, lease token, "listing/photo"] each.
Photos = list[list[str]]

#: What this release knows of a photo in a message.
_PARTS: Final = 3
_Key = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
_Token = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,20}$")]
#: An account, a listing and a photo at their longest, with what stands between them.
_Label = Annotated[str, StringConstraints(max_length=2_100)]
#: Far more than a dispatcher puts into one message.
_BATCH: Final = TypeAdapter(Annotated[list[tuple[_Key, _Token, _Label]], Field(max_length=1_000)])


def run(step: StepName, photos: Photos, account: str, newer: Mapping[str, Any]) -> dict[str, str]:
    """Run one step for a batch of an account's leased photos.

    A message that says more than this release knows (`newer`, or more parts a photo) is a newer release's: its leases
    are given back, for its own workers. Raises TypeError for arguments that no dispatcher sends.
    """
    leases = _leases(photos)
    if process.current is None:
        message = "stagecrew tasks run in a stagecrew worker: start one with `stagecrew worker`"
        raise RuntimeError(message)
    if newer or any(len(photo) > _PARTS for photo in photos):
        logger.warning("a newer release's message is left to its workers", extra={"step": step.value})
        return process.current.leave(leases, account)
    return process.current.run_batch(step, leases, account)


def _leases(photos: object) -> list[tuple[str, str, str]]:
    known = photos
    if isinstance(photos, list):
        known = [photo[:_PARTS] if isinstance(photo, list) else photo for photo in photos]
    try:
        return _BATCH.validate_python(known)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, found["loc"]))
        message = f"leased photos are [key, token, label] each; {place or 'the batch'}: {found['msg'].lower()}"
        # Not from pydantic's error, which quotes what came.
        raise TypeError(message) from None
