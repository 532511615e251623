"""What the fleet does besides photos: probes a parked account, reads usage, looks for lost jobs, reconciles each day.

Every worker process carries it; each duty is one worker's at a time, by a lease in Redis, and comes back when it dies.
A duty that meets trouble says so, and is tried again sooner than usual; it never touches the photos' own work.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import RedisError

from worker.core.events import reconciliation_completed, timestamp
from worker.core.photo import Stage
from worker.core.reconcile import Report
from worker.flow.duties import LEASE_MS
from worker.flow.parking import PROBE_MS, ParkingState
from worker.katalo.accounting import UsageSummary
from worker.katalo.errors import Forbidden, KataloError, PaymentRequired, Unauthorized
from worker.ledger.bought import DAY_MS
from worker.pipeline.billing import LedgerUnreadable, reconciled
from worker.pipeline.reads import NoGrant, read_usage
from worker.pipeline.uncertain import look_for_jobs
from worker.storage.errors import StoreError

if TYPE_CHECKING:
    from worker.services import Services

logger = logging.getLogger(__name__)

#: How often a worker looks whether a duty is due, in seconds.
LOOK_S: Final = 2.0
#: How often usage is read, and lost jobs are looked for. API time, ms.
USAGE_MS: Final = 60_000
UNCERTAIN_MS: Final = 600_000
#: After trouble a duty is due again so soon, or at its usual time if that is sooner.
AGAIN_MS: Final = 300_000
#: Why an account is parked before any call of a photo was refused.
NOT_ENABLED: Final = "the usage summary says that the organisation may not use the API; see its billing at Katalo"
#: Until a walk of the ledger ends: what comes later is left out of the event, and is in the next.
FAR_MS: Final = 253_402_300_800_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """One part of the upkeep: how often it is done, when first, and whether there is anything to do just now."""

    name: str
    every_ms: int
    first_ms: int
    wanted: Callable[[], Awaitable[bool]]
    work: Callable[[], Awaitable[None]]


class Upkeep:
    """The upkeep of one account in one worker process."""

    def __init__(self, services: Services, *, name: str, reconcile_days: int) -> None:
        """`name`: of the worker; `reconcile_days`: how far back the daily reconciliation looks, 0 for none."""
        self._services = services
        self._name = name
        self._reconcile_days = reconcile_days
        self._strange: frozenset[str] = frozenset()
        scaled = services.rules.scaled
        self.duties = [
            Duty(name="probe", every_ms=scaled(PROBE_MS), first_ms=0, wanted=self._probe_is_due, work=self._probe),
            Duty(name="usage", every_ms=scaled(USAGE_MS), first_ms=0, wanted=self._has_workload, work=self._usage),
            Duty(
                name="uncertain",
                every_ms=scaled(UNCERTAIN_MS),
                first_ms=0,
                wanted=self._any_uncertain,
                work=self._look_for_jobs,
            ),
        ]
        if reconcile_days:
            self.duties.append(
                Duty(name="reconcile", every_ms=DAY_MS, first_ms=DAY_MS, wanted=_always, work=self._reconcile)
            )

    async def run(self) -> None:
        """Do what is due, for ever."""
        while True:
            for duty in self.duties:
                try:
                    await self.attend(duty)
                except RedisError as error:
                    logger.warning("upkeep waits", extra={"duty": duty.name, "reason": type(error).__name__})
                except Exception:
                    # A fault of ours in one duty must not end the others; its lease runs out, and it is done again.
                    logger.exception("upkeep failed unexpectedly", extra={"duty": duty.name})
            await asyncio.sleep(LOOK_S)

    async def attend(self, duty: Duty) -> bool:
        """Do a duty if it is due and nobody else is at it; say whether it was done here. Raises RedisError."""
        duties = self._services.account.duties
        if not await duty.wanted():
            return False
        if not await duties.take(duty.name, self._name, every_ms=duty.every_ms, first_ms=duty.first_ms):
            return False
        renewing = asyncio.create_task(self._renew(duty), name=f"renew {duty.name}")
        again_ms = min(duty.every_ms, AGAIN_MS)
        try:
            await duty.work()
            again_ms = duty.every_ms
        except (KataloError, NoGrant, LedgerUnreadable, StoreError) as error:
            logger.warning("upkeep not done", extra={"duty": duty.name, "reason": str(error)})
        finally:
            renewing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await renewing
        await duties.done(duty.name, self._name, again_ms=again_ms)
        return True

    async def _renew(self, duty: Duty) -> None:
        while True:
            await asyncio.sleep(LEASE_MS / 3000)
            with contextlib.suppress(RedisError):
                await self._services.account.duties.take(duty.name, self._name, every_ms=duty.every_ms)

    async def _probe_is_due(self) -> bool:
        return await self._services.account.parking.state() is not None

    async def _probe(self) -> None:
        await probe(self._services)

    async def _has_workload(self) -> bool:
        return await self._services.account.parking.state() is None

    async def _usage(self) -> None:
        try:
            found = await read_usage(self._services, longest_s=LEASE_MS / 1000)
        except (Unauthorized, Forbidden, PaymentRequired) as error:
            await self._services.account.parking.park(str(error))
            raise
        if found.summary.enabled is False:
            await self._services.account.parking.park(NOT_ENABLED)
        await self._put_in_force(found.summary)

    async def _put_in_force(self, summary: UsageSummary) -> None:
        """Let the limits that the API reports hold for the whole fleet; say which ones are not understood, once."""
        speed = self._services.rules.speed
        for name in await self._services.admission.report(summary.rate_limits, speed=speed):
            value = summary.rate_limits.get(name, "no longer reported")
            logger.info("limit in force", extra={"limit": name, "value": value})
        strange = frozenset(summary.unknown_limits)
        if strange - self._strange:
            logger.warning("reported limits not understood", extra={"limits": ", ".join(sorted(strange))})
        self._strange = strange

    async def _any_uncertain(self) -> bool:
        redis: Any = self._services.account.redis
        return bool(await redis.zcard(f"{self._services.account.scripts.root}held:{Stage.UNCERTAIN}"))

    async def _look_for_jobs(self) -> None:
        looked = await look_for_jobs(self._services, now_ms=await self._services.account.scripts.now_ms())
        if looked.unclear:
            logger.warning("uncertain photos wait for a person", extra={"photos": looked.unclear})

    async def _reconcile(self) -> None:
        at_ms = await self._services.account.scripts.now_ms()
        since_ms = at_ms - self._reconcile_days * DAY_MS
        report = await reconciled(self._services, since_ms=since_ms, until_ms=FAR_MS, now_ms=at_ms, look_again=False)
        event = reconciliation_completed(self._services.ledger.account, at_ms, summary(report, until_ms=at_ms))
        await self._services.ledger.announce(event)
        level = logging.INFO if report.adds_up else logging.ERROR
        logger.log(level, "reconciled", extra={"adds_up": report.adds_up, "troubles": len(report.troubles)})


async def probe(services: Services) -> ParkingState:
    """Read the usage summary of a parked account, and note whether the account is mended. Raises RedisError."""
    parking = services.account.parking
    try:
        found = await read_usage(services, probe=True, longest_s=LEASE_MS / 1000)
    except (KataloError, NoGrant) as error:
        knows = isinstance(error, Unauthorized | Forbidden | PaymentRequired)
        state = await parking.probed(good=False, reason=str(error) if knows else "")
    else:
        allowed = found.summary.enabled is not False
        state = await parking.probed(good=allowed, reason="" if allowed else NOT_ENABLED)
    if state is ParkingState.RESUMED:
        logger.info("account goes on")
    return state


def summary(report: Report, *, until_ms: int) -> dict[str, Any]:
    """Return a report as the event tells it: numbers and money (as text), no photo's name."""
    return {
        "since": timestamp(report.since_ms),
        "until": timestamp(until_ms),
        "adds_up": report.adds_up,
        "kinds": {
            kind.value: {"count": amount.lines, "amount_usd": f"{amount.usd:f}"}
            for kind, amount in report.kinds.items()
        },
        "partners": {
            name: {"bills": amount.lines, "amount_usd": f"{amount.usd:f}", "without_amount": amount.unpriced}
            for name, amount in report.partners.items()
        },
        "total": {
            "bills": report.total.lines,
            "amount_usd": f"{report.total.usd:f}",
            "without_amount": report.total.unpriced,
        },
    }


async def _always() -> bool:
    return True
