"""Creates a photo's job once, and reads it until it has ended.

Guarantee: the body and its key are in the ledger before the first send, every send repeats exactly them, and a slot is
held from before that send until the job is seen to be over or the create is known to have been refused.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError

from worker.core.decide import INTENT_FIELDS, REPLAY_HORIZON_MS, after_store_trouble, after_trouble, fail, uncertain
from worker.core.durations import observed_ms
from worker.core.events import timestamp
from worker.core.identity import generation_key, reference
from worker.core.photo import Photo, Stage
from worker.core.request import dumps
from worker.core.routes import Route
from worker.core.step import Ending, Step
from worker.core.trouble import Cause, Trouble
from worker.flow.admission import Stale, Wait
from worker.flow.cadence import ALL_JOBS
from worker.katalo.errors import KataloError
from worker.katalo.models import Job
from worker.logbook import logged
from worker.pipeline import LeaseLost
from worker.pipeline.regenerate import earlier_regeneration, key_of, regeneration_body, what_the_first_knows
from worker.pipeline.trouble import from_api, from_elsewhere
from worker.storage.errors import StoreError
from worker.storage.manifest import Receipt, write_receipt

if TYPE_CHECKING:
    from worker.services import Services

logger = logging.getLogger(__name__)

#: `succeeded` without outputs is read again this often before it is reported (contract, section 12, point 16).
EMPTY_READS: Final = 5
EMPTY_READ_MS: Final = 12_000
#: Pause between reads of a job that is past its deadline.
LATE_READ_MS: Final = 60_000
#: Pause after Redis did not answer whether a create may be sent.
REDIS_PAUSE_MS: Final = 1_000
#: Metadata of the user's own that goes along: few, flat and short (contract, section 12, point 40).
MAX_METADATA: Final = 10
MAX_METADATA_CHARACTERS: Final = 200


async def create_generation(services: Services, photo: Photo) -> Step:
    """Create the job (a generation, or a regeneration), or repeat an unanswered create byte for byte."""
    if photo.stage is Stage.CREATING and photo.sent_ms is not None:
        age_ms = photo.now_ms - photo.sent_ms
        if age_ms >= services.rules.scaled(REPLAY_HORIZON_MS):
            # No job runs for so long, so its slot is free.
            return uncertain(_too_late(photo), release_slot=True)
    try:
        intent = await _intent(services, photo)
    except StoreError as error:
        # Nothing was sent: the photo stays what it is, and costs no attempt.
        return after_store_trouble(photo, from_elsewhere(error), jitter=services.jitter(), rules=services.rules)
    return intent if isinstance(intent, Step) else await _send(services, photo, intent)


async def _send(services: Services, photo: Photo, intent: Mapping[str, str]) -> Step:
    """Take slot and grant, record the intent, send it; in this order."""
    route = Route.REGENERATE if photo.parent_job_id else Route.GENERATIONS
    photo = replace(photo, source_asset_id=photo.source_asset_id or intent.get("source_asset_id"))
    body, key = intent["body"], intent["idempotency_key"]
    try:
        answer = await services.admission.admit(
            photo, [services.limits.budgets[route]], takes_slot=True, intent=intent, stage=Stage.CREATING
        )
    except RedisError:
        # Granted or not: without the answer nothing was sent.
        return _unsent(photo, delay_ms=REDIS_PAUSE_MS)
    if isinstance(answer, Stale):
        raise LeaseLost
    if isinstance(answer, Wait):
        return Step(ending=Ending.BACKLOG, stage=photo.stage, delay_ms=answer.ms, requeue=answer.capped)
    if not answer.still_good():
        return _unsent(photo)
    try:
        if photo.parent_job_id:
            job = await services.katalo.regenerate(photo.parent_job_id, body.encode(), key)
        else:
            job = await services.katalo.create_generation(body.encode(), key)
    except KataloError as error:
        trouble = await from_api(services, route, error)
        return after_trouble(photo, trouble, jitter=services.jitter(), rules=services.rules)
    assert job.job_id is not None
    logged.about(photo.listing_id, photo.photo_id, job=job.job_id)
    fields = {"job_id": job.job_id, "created_ms": str(photo.now_ms)}
    if await _receipt(services, photo, job.job_id, key):
        fields["receipt_written"] = "1"
    return Step(
        ending=Ending.GO,
        stage=Stage.GENERATING,
        fields=fields,
        drop=("body", "sent_ms"),
        delay_ms=await _first_read_ms(services, photo),
    )


async def _first_read_ms(services: Services, photo: Photo) -> int:
    if await services.webhooks_come():
        return await services.cadence.recovery_read_ms(photo.request.kind)
    return await services.cadence.first_job_read_ms(photo.request.kind, load=services.load)


async def _intent(services: Services, photo: Photo) -> dict[str, str] | Step:
    """Return what is recorded before the send: the exact body and its key; or where an earlier life leads to.

    Raises StoreError when a regeneration can't be looked up.
    """
    if photo.body is not None and photo.idempotency_key is not None:
        return {"body": photo.body, "idempotency_key": photo.idempotency_key}
    if not photo.parent_job_id:
        names = (photo.account, photo.listing_id, photo.photo_id, photo.fingerprint)
        key = generation_key(*names, photo.create_try)
        return {"body": generation_body(photo, key, services.webhook_url), "idempotency_key": key}
    found = await earlier_regeneration(services, photo)
    if found is not None:
        return found
    known = await what_the_first_knows(services, photo)
    return known | {"body": regeneration_body(services.webhook_url), "idempotency_key": key_of(photo)}


def generation_body(photo: Photo, key: str, webhook_url: str | None) -> str:
    """Return the canonical JSON body of the create; the same photo gives the same bytes."""
    own = {str(name): str(value)[:MAX_METADATA_CHARACTERS] for name, value in photo.metadata.items()}
    body = {
        "source_asset_id": photo.source_asset_id,
        **photo.request.job_settings(),
        "reference": reference(key),
        "metadata": {
            **dict(sorted(own.items())[:MAX_METADATA]),
            "listing_id": photo.listing_id[:MAX_METADATA_CHARACTERS],
            "photo_id": photo.photo_id[:MAX_METADATA_CHARACTERS],
            "partner": photo.partner[:MAX_METADATA_CHARACTERS],
        },
    }
    if webhook_url is not None:
        body["webhook"] = {"url": webhook_url}
    return dumps(body)


async def poll_generation(services: Services, photo: Photo) -> Step:
    """Read the job: over, or still running."""
    assert photo.job_id is not None
    fields: dict[str, str] = {}
    if not photo.receipt_written and await _receipt(services, photo, photo.job_id, photo.idempotency_key or ""):
        fields["receipt_written"] = "1"
    try:
        job = await services.katalo.generation(photo.job_id)
    except KataloError as error:
        trouble = await from_api(services, Route.GENERATION_READS, error)
        return after_trouble(photo, trouble, jitter=services.jitter(), rules=services.rules)
    if photo.source_asset_id is None and job.source_asset_id is not None:
        fields["source_asset_id"] = job.source_asset_id
    return await after_read(services, photo, job, fields)


async def after_read(services: Services, photo: Photo, job: Job, fields: dict[str, str]) -> Step:
    """Return what follows the state of a job."""
    if job.state == "failed":
        code = (job.failure.code if job.failure else None) or "generation_failed"
        message = (job.failure.message if job.failure else None) or "the API reports that the job failed"
        return fail(code, message, release_slot=True)
    if job.state == "succeeded" and job.outputs:
        urls = [{"role": output.role, "url": output.url} for output in job.outputs]
        return Step(
            ending=Ending.GO,
            stage=Stage.STORING,
            fields=fields | {"outputs": json.dumps({"urls": urls})},
            release_slot=True,
            duration_ms=await _duration_ms(services, photo),
            duration_kinds=(photo.request.kind, ALL_JOBS),
        )
    if job.state == "succeeded":
        if photo.attempt >= EMPTY_READS:
            return fail("no_outputs", "the job succeeded but has no outputs to store", release_slot=True)
        delay_ms = services.rules.scaled(EMPTY_READ_MS)
        return Step(ending=Ending.RETRY, stage=Stage.GENERATING, fields=fields, delay_ms=delay_ms, release_slot=True)
    if photo.created_ms is not None and photo.now_ms - photo.created_ms > services.rules.scaled(
        services.job_deadline_ms
    ):
        return _late(services, photo, fields)
    return Step(
        ending=Ending.WAIT,
        stage=Stage.GENERATING,
        fields=fields | {"read_ms": str(photo.now_ms)},
        delay_ms=await _next_read_ms(services, photo),
    )


async def _next_read_ms(services: Services, photo: Photo) -> int:
    if await services.webhooks_come():
        return services.cadence.recovery_pause_ms(photo.polls)
    age_ms = photo.now_ms - (photo.created_ms or photo.stage_since_ms)
    return await services.cadence.next_job_read_ms(photo.request.kind, age_ms=age_ms, load=services.load)


async def _duration_ms(services: Services, photo: Photo) -> int | None:
    """Return what the end of a job teaches of its kind; None when it was read too late, or again for fresh URLs."""
    if photo.created_ms is None or photo.rereads:
        return None
    durations = await services.cadence.learnt(photo.request.kind)
    planned_ms = None
    if services.webhook_url is not None and photo.read_ms is None and not durations.known:
        # It may have been read in a lost webhook's place only, long after its end.
        return None
    if durations.known:
        planned_ms = await services.cadence.first_job_read_ms(photo.request.kind, load=services.load)
    before_ms = photo.read_ms - photo.created_ms if photo.read_ms is not None else None
    return observed_ms(photo.now_ms - photo.created_ms, read_before_ms=before_ms, planned_ms=planned_ms)


def _late(services: Services, photo: Photo, fields: dict[str, str]) -> Step:
    """Return what follows a job that should have ended long ago: it is paid for, so it is read on, but rarely."""
    minutes = (photo.now_ms - (photo.created_ms or photo.now_ms)) * services.rules.speed / 60_000
    return Step(
        ending=Ending.WAIT,
        stage=Stage.GENERATING,
        fields=fields,
        delay_ms=services.rules.scaled(LATE_READ_MS),
        error_code="job_late",
        error_message=f"the job has run for {minutes:.0f} minutes; it is paid for and is read on once a minute",
    )


async def _receipt(services: Services, photo: Photo, job_id: str, key: str) -> bool:
    """Leave the job's id beside where its outputs will be; False when the store did not take it now."""
    receipt = Receipt(
        account=photo.account,
        listing_id=photo.listing_id,
        photo_id=photo.photo_id,
        fingerprint=photo.fingerprint,
        revision=photo.revision,
        job_id=job_id,
        source_asset_id=photo.source_asset_id,
        regeneration=photo.regeneration,
        parent_job_id=photo.parent_job_id,
        idempotency_key=key,
        partner=photo.partner,
        created_at=timestamp(photo.now_ms),
    )
    try:
        await write_receipt(services.store, receipt)
    except StoreError as error:
        # The job exists and the ledger will know it; the next read of the job tries the receipt again.
        logger.warning("receipt not written yet", extra={"reason": str(error)})
        return False
    return True


def _unsent(photo: Photo, *, delay_ms: int = 0) -> Step:
    """Return what follows a grant that grew old before the send, or was not answered: nothing was sent by this try."""
    if photo.stage is Stage.INGESTED:
        return Step(
            ending=Ending.BACKLOG,
            stage=Stage.INGESTED,
            delay_ms=delay_ms,
            drop=INTENT_FIELDS,
            release_slot=True,
            unspent=True,
        )
    return Step(ending=Ending.WAIT, stage=Stage.CREATING, delay_ms=delay_ms)


def _too_late(photo: Photo) -> Trouble:
    message = (
        f"the create sent at {timestamp(photo.sent_ms or 0)} was never answered and its key is no longer remembered; "
        "it is looked for in the billing ledger; `stagecrew resolve` lets it go on with its job, or with a new one"
    )
    return Trouble(cause=Cause.CONFLICT, code="outcome_unknown", message=message)
