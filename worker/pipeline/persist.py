"""Copies a job's outputs into the user's own store, then the manifest, then the pointer to the latest picture.

Guarantee: a manifest stands only where its outputs stand, complete and with their SHA-256; writing twice writes the
same thing; an expired URL is got anew by reading the job, never by making another.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final

from worker.core.backoff import LONGEST_MS
from worker.core.decide import PATIENT_TRIES, fail_paid
from worker.core.events import reference_of, timestamp
from worker.core.photo import Photo, Stage
from worker.core.step import Ending, Step
from worker.pipeline.trouble import from_elsewhere
from worker.storage.errors import DownloadFailed, NotAnImage, OutputTooLarge, UrlExpired
from worker.storage.latest import point_to
from worker.storage.manifest import write_outputs

if TYPE_CHECKING:
    from worker.services import Services

#: How often a job is read again for fresh URLs before the photo fails; more often where outputs just do not arrive.
MAX_REREADS: Final = 8


async def store_outputs(services: Services, photo: Photo) -> Step:
    """Fetch every output of the job and store them under the photo's own names."""
    urls = json.loads(photo.outputs or "{}").get("urls", [])
    try:
        images = await asyncio.gather(*(services.outputs.fetch(output["url"]) for output in urls))
    except (UrlExpired, NotAnImage, DownloadFailed) as error:
        return _read_again(services, photo, error)
    manifest = await write_outputs(
        services.store,
        account=photo.account,
        listing_id=photo.listing_id,
        photo_id=photo.photo_id,
        partner=photo.partner,
        fingerprint=photo.fingerprint,
        revision=photo.revision,
        request=json.loads(photo.request.canonical_json()),
        source_sha256=photo.source_sha256,
        reference=reference_of(photo),
        job_id=photo.job_id or "",
        source_asset_id=photo.source_asset_id,
        images=[(output["role"], image) for output, image in zip(urls, images, strict=True)],
        created_at=timestamp(photo.created_ms or photo.now_ms),
        staged_at=timestamp(photo.now_ms),
        metadata=dict(photo.metadata),
        regeneration=photo.regeneration,
        parent_job_id=photo.parent_job_id,
    )
    services.meter.stored(sum(len(image.data) for image in images))
    await point_to(services.store, manifest, accepted_ms=photo.accepted_ms)
    stored = [output.model_dump(mode="json") for output in manifest.outputs]
    return Step(ending=Ending.GO, stage=Stage.ANNOUNCING, fields={"outputs": json.dumps({"stored": stored})})


def _read_again(services: Services, photo: Photo, error: UrlExpired | NotAnImage | DownloadFailed) -> Step:
    is_patient = isinstance(error, DownloadFailed) and not isinstance(error, OutputTooLarge)
    if photo.rereads >= (PATIENT_TRIES if is_patient else MAX_REREADS):
        code = "url_expired" if isinstance(error, UrlExpired) else from_elsewhere(error).code
        return fail_paid(code, f"{error} (after {photo.rereads} fresh URLs)")
    again = {"rereads": str(photo.rereads + 1)}
    # The first time at once, then with a growing pause: the job is paid for, so there is no hurry to give up.
    delay_ms = services.rules.scaled(min(LONGEST_MS, 1_000 * (2**photo.rereads - 1)))
    return Step(ending=Ending.GO, stage=Stage.GENERATING, fields=again, delay_ms=delay_ms)
