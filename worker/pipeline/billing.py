"""Walks the billing ledger within its budget, and holds it against our ledger and the store.

A walk may break off anywhere and goes on at its last page. It never acts on what it finds: it reports. Jobs that an
emptied Redis forgot are found again by the receipts and manifests in the store, and entered anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from worker.core.moments import parse_ms
from worker.core.reconcile import Bought, Fate, Line, Report, reconcile
from worker.core.routes import Route
from worker.katalo.accounting import BillingEvent, BillingPage
from worker.katalo.errors import BadRequest, KataloError, NotFound, ValidationFailed
from worker.ledger.bought import DAY_MS
from worker.pipeline.reads import LONGEST_S, NoGrant, read
from worker.storage.manifest import Manifest, Receipt, each_kept
from worker.storage.names import photo_folder, segment

if TYPE_CHECKING:
    from worker.services import Services

logger = logging.getLogger(__name__)

#: A cursor that is not known any more begins the walk anew (contract, section 12, point 48), so often.
RESTARTS: Final = 3
#: A receipt is written minutes after its job is created; clocks of store and API may differ by as much again.
RECEIPT_SLACK_MS: Final = DAY_MS
#: Photos that are looked up in the store at once.
AT_ONCE: Final = 32
#: The longest wait for a price: it is only an estimate's.
PRICE_S: Final = 10.0
#: Partner of a job whose receipt does not name one.
UNNAMED: Final = "default"


class LedgerUnreadable(Exception):  # noqa: N818 - named after what happened
    """The billing ledger can't be walked to its end: its cursors are refused again and again."""


async def walk(services: Services, *, since_ms: int) -> list[Line]:
    """Read the billing ledger; return every line from `since_ms` on. One may come twice, as scans of Redis give it.

    Raises KataloError, NoGrant, LedgerUnreadable, RedisError; the next walk of the same day then goes on at its page.
    """
    bills = services.account.bills
    day = since_ms // DAY_MS
    name, position = str(day), await bills.position(str(day))
    newest_first = await _pages(services, name, position, from_ms=day * DAY_MS, until_known=False)
    if position is not None and newest_first:
        # What was written since the walk broke off stands before the page at which it went on.
        await _pages(services, name, None, from_ms=day * DAY_MS, until_known=True)
    return [line async for line in bills.lines(name) if (line.created_ms or since_ms) >= since_ms]


async def _pages(services: Services, walk_: str, cursor: str | None, *, from_ms: int, until_known: bool) -> bool:
    """Read and keep the pages from a cursor on; say whether they came newest first.

    A whole day's lines are kept, for the next walk of that day may begin at another hour. `until_known`: end at the
    first page of which every line is kept already.
    """
    bills = services.account.bills
    seen, restarts, order = set[str](), 0, _Order()
    while True:
        try:
            page = await _page(services, cursor)
        except (NotFound, BadRequest, ValidationFailed) as error:
            if cursor is None:
                raise
            restarts += 1
            if restarts > RESTARTS:
                message = f"the billing ledger's cursors are refused again and again ({error}); try again later"
                raise LedgerUnreadable(message) from error
            cursor, seen, order = None, set(), _Order()
            continue
        seen |= {cursor} if cursor else set()
        recent = [event for event in page.events if (parse_ms(event.created_at) or from_ms) >= from_ms]
        known = until_known and await bills.has_all(walk_, recent)
        ended = known or page.next_cursor is None or page.next_cursor in seen or order.is_past(page.events, from_ms)
        cursor = None if ended else page.next_cursor
        await bills.keep(walk_, recent, cursor)
        if ended:
            return order.newest_first


async def _page(services: Services, cursor: str | None, *, longest_s: float = LONGEST_S) -> BillingPage:
    async def call() -> BillingPage:
        return await services.katalo.billing(cursor)

    return await read(services, Route.BILLING, call, longest_s=longest_s)


class _Order:
    """Knows whether all that was read so far came newest first: only then may a walk end before the last page."""

    def __init__(self) -> None:
        self._last_ms: int | None = None
        self.newest_first = True

    def is_past(self, events: Sequence[BillingEvent], since_ms: int) -> bool:
        """Take a page; say whether everything after it is older than `since_ms` by a day of lateness."""
        for event in events:
            at_ms = parse_ms(event.created_at)
            if at_ms is None or (self._last_ms is not None and at_ms > self._last_ms):
                self.newest_first = False
            self._last_ms = at_ms if at_ms is not None else self._last_ms
        return bool(events) and self.newest_first and self._last_ms is not None and self._last_ms < since_ms - DAY_MS


async def reconciled(
    services: Services,
    *,
    since_ms: int,
    until_ms: int,
    now_ms: int,
    partner: str | None = None,
    look_again: bool = True,
) -> Report:
    """Return how bills and staged photos of a span agree; raises as `walk`, and StoreError.

    `look_again`: look in the store also for jobs that were not found there before.
    """
    account = services.account
    lines = await walk(services, since_ms=since_ms)
    jobs = await account.bought.between(since_ms, now_ms)
    missing = sorted({line.job_id for line in lines if line.job_id} - set(jobs))
    jobs |= await account.bought.find(missing, now_ms)
    forgotten = [job_id for job_id in missing if job_id not in jobs]
    await _from_store(services, forgotten, lines, jobs, look_again=look_again)
    with_fates = {job.job_id: job async for job in _fates(services, list(jobs.values()))}
    return reconcile(
        lines,
        with_fates,
        since_ms=since_ms,
        until_ms=until_ms,
        now_ms=now_ms,
        lateness_ms=services.rules.scaled(services.billing_lateness_ms),
        uncertain=await account.bought.uncertain_assets(),
        partner=partner,
    )


async def price_of_a_job(services: Services) -> Decimal | None:
    """Return what a job costs, as the settings say or as last billed; None when no bill is known.

    Reads one page of the ledger when none was ever read.
    """
    known = await known_price(services)
    if known is None:
        try:
            page = await _page(services, None, longest_s=PRICE_S)
        except (KataloError, NoGrant) as error:
            logger.info("no price learnt", extra={"reason": str(error)})
            return None
        await services.account.bills.learn_prices(page.events)
        known = await known_price(services)
    return known


async def known_price(services: Services) -> Decimal | None:
    """Return the same without asking the API. Raises RedisError."""
    if services.job_price_usd is not None:
        return services.job_price_usd
    prices = await services.account.bills.prices()
    # The dearest of those that are no regenerations: an estimate should not be too low.
    created = [price for name, price in prices.items() if "regen" not in name.lower()]
    return max(created or prices.values(), default=None)


async def _from_store(
    services: Services, missing: list[str], lines: Sequence[Line], jobs: dict[str, Bought], *, look_again: bool
) -> None:
    """Find jobs that Redis has forgotten by what stands in the store, and enter them anew."""
    bills, wanted = services.account.bills, set(missing)
    if not look_again:
        wanted -= await bills.strangers(missing)
    if not wanted:
        return
    earliest_ms = min((line.created_ms or 0 for line in lines if line.job_id in wanted), default=0)
    found: dict[str, Bought] = {}
    async for kept in each_kept(services.store, modified_since_ms=earliest_ms - RECEIPT_SLACK_MS):
        if kept.account == services.ledger.account and kept.job_id in wanted:
            known = found.get(kept.job_id)
            if known is None or isinstance(kept, Manifest):
                found[kept.job_id] = _of_kept(kept)
    await services.account.bought.enter(list(found.values()))
    await bills.note_strangers(sorted(wanted - set(found)))
    jobs |= found


def _of_kept(kept: Manifest | Receipt) -> Bought:
    return Bought(
        job_id=kept.job_id,
        listing_id=kept.listing_id,
        photo_id=kept.photo_id,
        partner=kept.partner or UNNAMED,
        fingerprint=kept.fingerprint,
        revision=kept.revision,
        source_asset_id=kept.source_asset_id,
        since_ms=parse_ms(kept.created_at) or 0,
    )


async def _fates(services: Services, jobs: list[Bought]) -> AsyncIterator[Bought]:
    """Give each job with what has become of its photo: by its row, else by the manifests of the photo."""
    gone: list[Bought] = []
    async for job in services.account.bought.fates(jobs):
        if job.fate is Fate.GONE:
            gone.append(job)
        else:
            yield job
    for at in range(0, len(gone), AT_ONCE):
        some = gone[at : at + AT_ONCE]
        fates = await asyncio.gather(*(_fate_in_store(services, job) for job in some))
        for job, fate in zip(some, fates, strict=True):
            yield replace(job, fate=fate)


async def _fate_in_store(services: Services, job: Bought) -> Fate:
    folder = photo_folder(job.listing_id, job.photo_id, job.fingerprint)
    content = await services.store.get(f"{folder}/manifest.json")
    if content is not None and f'"job_id":"{job.job_id}"'.encode() in content:
        return Fate.STAGED
    # A regeneration has a folder of its own below the photo's.
    prefix = f"{segment(job.listing_id)}/{segment(job.photo_id)}/"
    async for kept in each_kept(services.store, prefix=prefix):
        if isinstance(kept, Manifest) and kept.job_id == job.job_id:
            return Fate.STAGED
    return Fate.GONE


__all__ = ["LedgerUnreadable", "known_price", "price_of_a_job", "reconciled", "walk"]
