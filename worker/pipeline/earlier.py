"""How a photo goes on from what an earlier life has left in the store: a picture, or a job that is paid for."""

from __future__ import annotations

import json

from worker.core.photo import Photo, Stage
from worker.core.step import Ending, Step
from worker.storage.manifest import Manifest, Receipt


def already_staged(photo: Photo, manifest: Manifest) -> Step:
    """Return the step of a photo whose picture stands in the store: it is announced (again), under the same id."""
    outputs = [output.model_dump(mode="json") for output in manifest.outputs]
    fields = {"outputs": json.dumps({"stored": outputs}), "job_id": manifest.job_id, "restored": "1"}
    fields["revision"] = str(max(photo.revision, manifest.revision))
    # What is said of the job again: its reference is the key that it was made by.
    found = {"source_asset_id": manifest.source_asset_id, "idempotency_key": manifest.reference}
    fields |= {name: value for name, value in found.items() if value}
    if manifest.regeneration:
        fields |= {"regeneration": str(manifest.regeneration), "parent_job_id": manifest.parent_job_id or ""}
    return Step(ending=Ending.GO, stage=Stage.ANNOUNCING, fields=fields)


def already_paid(receipt: Receipt) -> Step:
    """Return the step of a photo whose job exists: it is read, and takes its slot whatever the cap says."""
    fields = {"job_id": receipt.job_id, "receipt_written": "1", "idempotency_key": receipt.idempotency_key}
    if receipt.source_asset_id:
        fields["source_asset_id"] = receipt.source_asset_id
    return Step(ending=Ending.GO, stage=Stage.GENERATING, fields=fields, adopt_slot=True)
