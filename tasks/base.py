"""What all tasks share: they check what they were given and hand it to the process's event loop."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from worker import process
from worker.core.photo import StepName

#: A batch as it travels: [photo key, lease token, "listing/photo"] each.
Photos = list[list[str]]

_Key = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
_Token = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,20}$")]
#: An account, a listing and a photo at their longest, with what stands between them.
_Label = Annotated[str, StringConstraints(max_length=2_100)]
#: Far more than a dispatcher puts into one message.
_BATCH: Final = TypeAdapter(Annotated[list[tuple[_Key, _Token, _Label]], Field(max_length=1_000)])


def run(step: StepName, photos: Photos, account: str) -> dict[str, str]:
    """Run one step for a batch of an account's leased photos.

    Raises TypeError for arguments that no dispatcher of ours sent.
    """
    leases = _leases(photos)
    if process.current is None:
        message = "stagecrew tasks run in a stagecrew worker: start one with `stagecrew worker`"
        raise RuntimeError(message)
    return process.current.run_batch(step, leases, account)


def _leases(photos: object) -> list[tuple[str, str, str]]:
    try:
        return _BATCH.validate_python(photos)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, found["loc"]))
        message = f"leased photos are [key, token, label] each; {place or 'the batch'}: {found['msg'].lower()}"
        # Not from pydantic's error, which quotes what came.
        raise TypeError(message) from None
