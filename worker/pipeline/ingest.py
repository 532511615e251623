"""Takes a photo's source in: from the store's memory of an earlier life, or as a source asset of the API.

Guarantee: a photo that was staged before costs no call, and one whose job was paid for goes on reading that job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from worker.core.decide import after_trouble, fail, ingest_again
from worker.core.durations import observed_ms
from worker.core.identity import source_key
from worker.core.photo import Photo, Stage
from worker.core.request import dumps
from worker.core.routes import Route
from worker.core.step import Ending, Step
from worker.core.trouble import Cause, Trouble
from worker.flow.admission import Granted, Stale, Wait
from worker.flow.cadence import INGEST_KINDS
from worker.katalo.errors import KataloError
from worker.katalo.models import Ingest
from worker.pipeline import LeaseLost
from worker.pipeline.earlier import already_paid, already_staged
from worker.pipeline.trouble import from_api
from worker.storage.latest import newest_of, point_to
from worker.storage.manifest import Manifest, find_earlier_life

if TYPE_CHECKING:
    from worker.services import Services
    from worker.storage.sources import SourceImage

#: An id that came with an unfamiliar status is used after this many reads (contract, section 12, point 9).
SETTLING_READS: Final = 3
#: So many hosts that the API can't fetch from are remembered; each costs no more than one vain try.
MOST_UNFETCHABLE: Final = 10_000


async def ingest_source(services: Services, photo: Photo) -> Step:
    """Send the source in, unless an earlier life has left a manifest or a receipt."""
    if photo.create_try == 0:
        earlier = await find_earlier_life(services.store, photo.listing_id, photo.photo_id, photo.fingerprint)
        if isinstance(earlier, Manifest):
            newest = await newest_of(services.store, earlier)
            await point_to(services.store, newest, accepted_ms=photo.accepted_ms)
            return already_staged(photo, newest)
        if earlier is not None:
            return already_paid(earlier)
    try:
        if services.source_mode == "url" and services.sources.is_public_https(photo.request.source):
            return await _by_url(services, photo)
        if _may_be_fetched(services, photo):
            fetched = await _by_url(services, photo)
            if fetched.ending is not Ending.BACKLOG:
                return fetched
        return await _by_upload(services, photo)
    except KataloError as error:
        trouble = await from_api(services, Route.SOURCE_ASSETS, error)
        return after_trouble(photo, trouble, jitter=services.jitter(), rules=services.rules)


def _may_be_fetched(services: Services, photo: Photo) -> bool:
    """Say whether `auto` lets the API fetch the source, if its budget for that is free: at the first try only.

    The address must last, and the API must have been able to fetch from its host so far.
    """
    source = photo.request.source
    first = photo.attempt == 0 and photo.ingest_try == 0
    return (
        services.source_mode == "auto"
        and first
        and services.sources.is_public_https(source)
        and urlsplit(source).hostname not in services.unfetchable
    )


async def _by_upload(services: Services, photo: Photo) -> Step:
    image: SourceImage = await services.sources.read(photo.request.source)
    key = source_key(photo.account, photo.listing_id, photo.photo_id, image.sha256, photo.ingest_try)
    granted = await _admit(services, photo, Route.SOURCE_ASSETS)
    if isinstance(granted, Step):
        return granted
    ingest = await services.katalo.upload_source(image.data, image.filename, image.media_type, key)
    services.meter.taken_in(len(image.data))
    return await _after_answer(services, photo, ingest, {"source_sha256": image.sha256})


async def _by_url(services: Services, photo: Photo) -> Step:
    url = photo.request.source
    key = source_key(photo.account, photo.listing_id, photo.photo_id, url, photo.ingest_try)
    granted = await _admit(services, photo, Route.SOURCE_ASSETS, Route.SOURCE_FETCHES)
    if isinstance(granted, Step):
        return granted
    ingest = await services.katalo.create_source_from_url(dumps({"source_url": url}).encode(), key)
    return await _after_answer(services, photo, ingest, {})


async def _admit(services: Services, photo: Photo, *routes: Route) -> Granted | Step:
    """Take the grants; a step instead when there are none now. Raises LeaseLost when the lease is not ours."""
    answer = await services.admission.admit(photo, [services.limits.budgets[route] for route in routes])
    if isinstance(answer, Stale):
        raise LeaseLost
    if isinstance(answer, Wait) or not answer.still_good():
        return Step(ending=Ending.BACKLOG, stage=photo.stage, delay_ms=answer.ms if isinstance(answer, Wait) else 0)
    return answer


async def poll_ingest(services: Services, photo: Photo) -> Step:
    """Read an ingest: ready, failed, or still running."""
    assert photo.ingest_id is not None
    try:
        ingest = await services.katalo.ingest(photo.ingest_id)
    except KataloError as error:
        trouble = await from_api(services, Route.INGEST_READS, error)
        return after_trouble(photo, trouble, jitter=services.jitter(), rules=services.rules)
    return await _after_answer(services, photo, ingest, {})


async def _after_answer(services: Services, photo: Photo, ingest: Ingest, fields: dict[str, str]) -> Step:
    kind = INGEST_KINDS[photo.source_sha256 is None and "source_sha256" not in fields]
    age_ms = photo.now_ms - photo.stage_since_ms
    usable = ingest.state == "ready" or (ingest.state == "settling" and photo.polls >= SETTLING_READS)
    if usable and ingest.source_asset_id is not None:
        fields["source_asset_id"] = ingest.source_asset_id
        return Step(
            ending=Ending.GO,
            stage=Stage.INGESTED,
            fields=fields,
            drop=("read_ms",),
            duration_ms=await _duration_ms(services, photo, kind, age_ms),
            duration_kinds=(kind,),
        )
    if ingest.state == "failed":
        code = ingest.failure.code if ingest.failure else None
        message = ingest.failure.message if ingest.failure else None
        if kind == INGEST_KINDS[True] and services.source_mode == "auto" and photo.ingest_try == 0:
            return _upload_instead(services, photo, message or ingest.status_text)
        return fail(code or "ingest_failed", message or f"the API could not take the source in ({ingest.status_text})")
    if photo.stage is Stage.INGESTING and age_ms > services.rules.scaled(services.ingest_deadline_ms):
        message = f"the ingest was not ready after {age_ms * services.rules.speed / 1000:.0f} s"
        gone = Trouble(cause=Cause.NOT_THERE, code="ingest_deadline", message=message)
        return after_trouble(photo, gone, jitter=services.jitter(), rules=services.rules)
    if photo.stage is Stage.ACCEPTED:
        fields["ingest_id"] = ingest.ingest_id or photo.ingest_id or ""
        delay_ms = await services.cadence.first_ingest_read_ms(kind, load=services.load)
        return Step(ending=Ending.GO, stage=Stage.INGESTING, fields=fields, delay_ms=delay_ms)
    fields["read_ms"] = str(photo.now_ms)
    delay_ms = await services.cadence.next_ingest_read_ms(kind, age_ms=age_ms, load=services.load)
    return Step(ending=Ending.WAIT, stage=Stage.INGESTING, fields=fields, delay_ms=delay_ms)


def _upload_instead(services: Services, photo: Photo, reason: str) -> Step:
    """Return what follows when the API could not fetch a source: our own bytes, for this host from now on."""
    if len(services.unfetchable) >= MOST_UNFETCHABLE:
        services.unfetchable.clear()
    services.unfetchable.add(urlsplit(photo.request.source).hostname)
    trouble = Trouble(cause=Cause.NOT_THERE, code="not_fetched", message=f"the API could not fetch it ({reason})")
    return ingest_again(photo, trouble)


async def _duration_ms(services: Services, photo: Photo, kind: str, age_ms: int) -> int | None:
    """Return what the end of an ingest teaches; None when it was ready at once or read too late."""
    if photo.stage is not Stage.INGESTING:
        return None
    known = (await services.cadence.learnt(kind)).known
    planned_ms = await services.cadence.first_ingest_read_ms(kind, load=services.load) if known else None
    before_ms = photo.read_ms - photo.stage_since_ms if photo.read_ms is not None else None
    return observed_ms(age_ms, read_before_ms=before_ms, planned_ms=planned_ms)
