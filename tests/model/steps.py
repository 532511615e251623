"""What a worker may settle a step with: one short word for each way in which the API, the store or a source may answer.

Trouble goes through the real decisions (`worker/core/decide.py`), so the ledger gets the steps that it gets in use.
"""

from __future__ import annotations

from dataclasses import replace

from worker.core.decide import Rules, after_trouble, fail, fail_paid, uncertain
from worker.core.events import photo_failed
from worker.core.identity import generation_key, regenerate_key
from worker.core.photo import Photo, Stage, StepName
from worker.core.step import Ending, Step
from worker.core.trouble import Cause, Trouble
from worker.pipeline.announce import announce
from worker.pipeline.interruption import or_cancelled

#: The first of each is how it goes well.
ANSWERS: dict[StepName, tuple[str, ...]] = {
    StepName.INGEST_SOURCE: ("ready", "started", "flow_control", "receipt", "down", "passing", "source", "staged"),
    StepName.POLL_INGEST: ("ready", "running", "not_there", "passing", "rejected"),
    StepName.CREATE_GENERATION: (
        "created", "flow_control", "rejected", "passing", "flow_control", "lost", "down", "rejected", "conflict",
        "asset_gone", "unsent", "too_late",
    ),
    StepName.POLL_GENERATION: ("succeeded", "running", "failed", "empty", "not_there", "passing"),
    StepName.STORE_OUTPUTS: ("stored", "expired", "down", "given_up"),
    StepName.ANNOUNCE: ("announced",),
}  # fmt: skip
#: Answers that say for certain that a create made nothing.
REFUSED = {"flow_control", "down", "rejected", "asset_gone"}


def create_key(photo: Photo) -> str:
    """Return the key of a photo's create, as `worker/pipeline/generate.py` makes it."""
    names = (photo.account, photo.listing_id, photo.photo_id, photo.fingerprint)
    if photo.parent_job_id:
        return regenerate_key(*names, regeneration=photo.regeneration, create_try=photo.create_try)
    return photo.idempotency_key or generation_key(*names, photo.create_try)


async def step_for(photo: Photo, name: StepName, answer: str, job: str) -> Step:
    """Return the step of a photo that got an answer. `job`: the id of the job that its key stands for at the API."""
    step = await _step(photo, name, answer, job)
    if step.stage is Stage.FAILED:
        step = replace(step, event=photo_failed(photo, step.error_code or "", step.error_message or ""))
    return or_cancelled(photo, step)


async def _step(photo: Photo, name: StepName, answer: str, job: str) -> Step:  # noqa: C901, PLR0911, PLR0912 - a table
    if answer in set(Cause) | {"lost"}:
        cause = Cause.PASSING if answer == "lost" else Cause(answer)
        trouble = Trouble(cause=cause, code="code", message="message", refused=answer in REFUSED)
        return after_trouble(photo, trouble, jitter=0, rules=Rules())
    match name, answer:
        case StepName.INGEST_SOURCE | StepName.POLL_INGEST, "ready":
            return Step(ending=Ending.GO, stage=Stage.INGESTED, fields={"source_asset_id": "asset"})
        case StepName.INGEST_SOURCE, "started":
            return Step(ending=Ending.GO, stage=Stage.INGESTING, fields={"ingest_id": "ingest"}, delay_ms=1_000)
        case StepName.INGEST_SOURCE, "receipt":
            paid = {"job_id": job, "receipt_written": "1", "idempotency_key": create_key(photo)}
            return Step(ending=Ending.GO, stage=Stage.GENERATING, fields=paid, adopt_slot=True)
        case StepName.INGEST_SOURCE, "staged":
            return Step(ending=Ending.GO, stage=Stage.ANNOUNCING, fields={"outputs": "{}", "job_id": job})
        case StepName.CREATE_GENERATION, "created":
            fields = {"job_id": job, "created_ms": str(photo.now_ms)}
            drop = ("body", "sent_ms")
            return Step(ending=Ending.GO, stage=Stage.GENERATING, fields=fields, drop=drop, delay_ms=1_000)
        case StepName.CREATE_GENERATION, "unsent" if photo.stage is Stage.INGESTED:
            drop = ("body", "idempotency_key", "sent_ms")
            return Step(ending=Ending.BACKLOG, stage=Stage.INGESTED, drop=drop, release_slot=True, unspent=True)
        case StepName.CREATE_GENERATION, "unsent":
            return Step(ending=Ending.WAIT, stage=Stage.CREATING)
        case StepName.CREATE_GENERATION, "too_late":
            trouble = Trouble(cause=Cause.CONFLICT, code="outcome_unknown", message="message")
            return uncertain(trouble, release_slot=photo.stage is Stage.CREATING)
        case StepName.POLL_GENERATION, "succeeded":
            outputs = {"outputs": '{"urls":[]}'}
            kinds = (photo.request.kind, "all")
            more = {"release_slot": True, "duration_ms": 1_000, "duration_kinds": kinds}
            return Step(ending=Ending.GO, stage=Stage.STORING, fields=outputs, **more)
        case StepName.POLL_GENERATION, "failed":
            return fail("generation_failed", "message", release_slot=True)
        case StepName.POLL_GENERATION, "empty":
            return Step(ending=Ending.RETRY, stage=Stage.GENERATING, delay_ms=1_000, release_slot=True)
        case StepName.STORE_OUTPUTS, "stored":
            return Step(ending=Ending.GO, stage=Stage.ANNOUNCING, fields={"outputs": '{"stored":[]}'})
        case StepName.STORE_OUTPUTS, "expired":
            return Step(ending=Ending.GO, stage=Stage.GENERATING, fields={"rereads": str(photo.rereads + 1)})
        case StepName.STORE_OUTPUTS, "given_up":
            return fail_paid("url_expired", "message")
        case StepName.ANNOUNCE, "announced":
            return await announce(None, photo)  # type: ignore[arg-type]
    return Step(ending=Ending.WAIT, stage=photo.stage, delay_ms=1_000)
