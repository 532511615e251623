"""The whole journey of a photo, one task a step. The reader enters here.

    ingest_source -> poll_ingest -> create_generation -> poll_generation -> store_outputs -> announce

A message is a hint: it names leased photos, and whoever runs it opens the leases first. A message that is lost or comes
twice does no harm (`docs/architecture.md`). Each task takes a batch of `[photo key, lease token, "listing/photo"]` of
one account and answers with what became of each photo, by name: that is what Flower shows. Where there are several
accounts, a name is `account:listing/photo`. Keywords that are not known here are a newer release's (`tasks/base.py`).
"""

from __future__ import annotations

from typing import Any

from config.accounts import DEFAULT
from tasks.base import Photos, run
from worker.app import app
from worker.core.photo import StepName


@app.task(name="stagecrew.ingest_source")
def ingest_source(photos: Photos, account: str = DEFAULT, **newer: Any) -> dict[str, str]:
    """Take a photo's source in, unless an earlier life has left a manifest or a receipt in the store."""
    return run(StepName.INGEST_SOURCE, photos, account, newer)


@app.task(name="stagecrew.poll_ingest")
def poll_ingest(photos: Photos, account: str = DEFAULT, **newer: Any) -> dict[str, str]:
    """Read whether the API has the source ready."""
    return run(StepName.POLL_INGEST, photos, account, newer)


@app.task(name="stagecrew.create_generation")
def create_generation(photos: Photos, account: str = DEFAULT, **newer: Any) -> dict[str, str]:
    """Create the job once, or repeat an unanswered create byte for byte."""
    return run(StepName.CREATE_GENERATION, photos, account, newer)


@app.task(name="stagecrew.poll_generation")
def poll_generation(photos: Photos, account: str = DEFAULT, **newer: Any) -> dict[str, str]:
    """Read whether the job has ended."""
    return run(StepName.POLL_GENERATION, photos, account, newer)


@app.task(name="stagecrew.store_outputs")
def store_outputs(photos: Photos, account: str = DEFAULT, **newer: Any) -> dict[str, str]:
    """Copy the job's outputs into the user's store, the manifest last."""
    return run(StepName.STORE_OUTPUTS, photos, account, newer)


@app.task(name="stagecrew.announce")
def announce(photos: Photos, account: str = DEFAULT, **newer: Any) -> dict[str, str]:
    """End the photo and put its completion message on the stream, in one script."""
    return run(StepName.ANNOUNCE, photos, account, newer)
