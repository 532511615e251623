"""Looks for the jobs of unanswered creates before anybody thinks of creating again.

A photo goes on by itself only with a job that is read, is nobody else's, and is certain (its reference) or the only
one of its source asset. Everything else waits for a person, in the stage `uncertain`, and is looked for again, for
bills come late.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from worker.core.claim import Claim, claim
from worker.core.routes import Route
from worker.katalo.errors import NotFound
from worker.katalo.models import Job
from worker.ledger.inbox import MAX_KEPT
from worker.ledger.uncertain import Uncertain
from worker.pipeline.billing import walk
from worker.pipeline.reads import read

if TYPE_CHECKING:
    from worker.services import Services

logger = logging.getLogger(__name__)

#: Bills are looked through from so long before the first send: clocks differ. API time, ms.
SLACK_MS: Final = 3_600_000
#: A job of our own asset that this many others may be: more is no search but a guess.
MOST_CANDIDATES: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What looking for the jobs of uncertain photos gave."""

    found: tuple[str, ...] = ()
    unclear: int = 0


async def look_for_jobs(services: Services, *, now_ms: int) -> Looked:
    """Look for the job of every uncertain photo, and let those go on whose job is found.

    In the webhooks that nobody could place first, then in the billing ledger. Raises as `worker.pipeline.billing.walk`.
    """
    account = services.account
    photos = await account.uncertain.all(job_deadline_ms=services.rules.scaled(services.job_deadline_ms))
    found: list[str] = []
    for gather in (_from_inbox, _from_bills):
        searched = [photo for photo in photos if photo.source_asset_id and photo.label not in found]
        if searched:
            found += await _resolved(services, photos, searched, await gather(services, searched, now_ms), now_ms)
    return Looked(found=tuple(found), unclear=len(photos) - len(found))


async def _from_inbox(services: Services, searched: Sequence[Uncertain], _now_ms: int) -> dict[str, set[str]]:
    """Return the jobs that kept webhooks name, by source asset."""
    candidates: dict[str, set[str]] = {photo.source_asset_id or "": set() for photo in searched}
    for kept in await services.account.inbox.kept(MAX_KEPT):
        if kept.job_id and kept.source_asset_id in candidates:
            candidates[kept.source_asset_id].add(kept.job_id)
    return candidates


async def _from_bills(services: Services, searched: Sequence[Uncertain], now_ms: int) -> dict[str, set[str]]:
    """Return the jobs that are billed, by source asset."""
    candidates: dict[str, set[str]] = {photo.source_asset_id or "": set() for photo in searched}
    since_ms = min(photo.sent_ms or now_ms for photo in searched) - services.rules.scaled(SLACK_MS)
    for line in await walk(services, since_ms=since_ms):
        if line.job_id and line.source_asset_id in candidates:
            candidates[line.source_asset_id].add(line.job_id)
    return candidates


async def _resolved(
    services: Services,
    photos: Sequence[Uncertain],
    searched: Sequence[Uncertain],
    candidates: Mapping[str, set[str]],
    now_ms: int,
) -> list[str]:
    """Let the photos go on whose job is among the candidates; return their names."""
    known = await services.account.bought.find(sorted(set().union(*candidates.values())), now_ms)
    sharing = Counter(photo.source_asset_id for photo in photos)
    found = []
    for photo in searched:
        unclaimed = sorted(candidates.get(photo.source_asset_id or "", set()) - set(known))
        job_id = await _only_one(services, photo, unclaimed, alone=sharing[photo.source_asset_id] == 1)
        if job_id is not None and await services.account.uncertain.resolve(photo.key, job_id):
            logger.info(
                "uncertain photo's job found",
                extra={"listing": photo.listing_id, "photo": photo.photo_id, "job": job_id},
            )
            found.append(photo.label)
    return found


async def _only_one(services: Services, photo: Uncertain, job_ids: Sequence[str], *, alone: bool) -> str | None:
    """Return the job that is the photo's, or None when none is, or it can't be told which."""
    claims: Mapping[str, Claim] = {
        job_id: await _claim(services, photo, job_id) for job_id in job_ids[:MOST_CANDIDATES]
    }
    certain = [job_id for job_id, how in claims.items() if how is Claim.CERTAIN]
    possible = [job_id for job_id, how in claims.items() if how is Claim.POSSIBLE]
    if len(certain) == 1:
        return certain[0]
    # Two uncertain photos of one asset could take each other's job; among too many, one that was not read may be it.
    only = alone and len(possible) == 1 and len(job_ids) <= MOST_CANDIDATES
    return possible[0] if only and not certain else None


async def _claim(services: Services, photo: Uncertain, job_id: str) -> Claim:
    try:
        return (await examine(services, photo, job_id))[0]
    except NotFound:
        # One job that the API denies must not end the search for all the others.
        return Claim.NO


async def examine(services: Services, photo: Uncertain, job_id: str) -> tuple[Claim, str]:
    """Read a job and say whether it is the photo's, and why. Raises KataloError, NoGrant when it can't be read."""

    async def call() -> Job:
        return await services.katalo.generation(job_id)

    job = await read(services, Route.GENERATION_READS, call)
    return claim(
        asset=photo.source_asset_id,
        reference=photo.reference,
        job_asset=job.source_asset_id,
        job_reference=job.reference,
    )


__all__ = ["Looked", "examine", "look_for_jobs"]
