"""The composition root: everything that does I/O is built here, from settings, once a process, on its event loop.

Nothing is made at import and nothing crosses a fork.
"""

from __future__ import annotations

import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Final

from redis.asyncio import Redis

from config.accounts import DEFAULT, accounts_of, settings_for
from config.redis_tls import redis_options
from config.sinks import SinkKind
from worker import keys, tracing
from worker.core.cadence import Load
from worker.core.decide import Rules
from worker.core.routes import Route
from worker.flow.admission import Admission
from worker.flow.cadence import Cadence
from worker.flow.caps import Cap, Caps
from worker.flow.dispatching import Dispatching
from worker.flow.duties import Duties
from worker.flow.limits import Budget, Limits
from worker.flow.outlook import Prospects
from worker.flow.parking import Parking
from worker.katalo.callback import callback_url
from worker.katalo.client import KataloClient
from worker.katalo.keyring import Keyring
from worker.ledger.bills import Bills
from worker.ledger.bought import BoughtJobs
from worker.ledger.inbox import Inbox
from worker.ledger.ledger import Ledger
from worker.ledger.outbox import Destinations
from worker.ledger.purge import Purge
from worker.ledger.uncertain import UncertainPhotos
from worker.ledger.usage import UsageBook
from worker.lua import Scripts
from worker.metrics.meters import Meter, Meters
from worker.storage.outputs import OutputFetcher
from worker.storage.sources import SourceReader
from worker.storage.store import ObjectStore, open_store
from worker.tracing import OFF, Tracer

if TYPE_CHECKING:
    from config.caps import CapSettings
    from config.rotation import LiveAccounts
    from config.settings import Settings

logger = logging.getLogger(__name__)

#: What `appendfsync everysec` may lose when the machine goes down, with a margin.
REDIS_FORGETS_MS: Final = 2_000
#: Whether webhooks come is asked in Redis at most this often, in seconds.
SILENCE_KEPT_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What touches Redis only: enough for the CLI and the dispatcher."""

    redis: Redis
    scripts: Scripts
    limits: Limits
    ledger: Ledger
    inbox: Inbox
    admission: Admission
    dispatching: Dispatching
    cadence: Cadence
    parking: Parking
    usage: UsageBook
    duties: Duties
    bought: BoughtJobs
    bills: Bills
    uncertain: UncertainPhotos
    purge: Purge


@dataclass(slots=True, kw_only=True)
class Services:
    """Everything a step may use."""

    account: Account
    katalo: KataloClient
    store: ObjectStore
    sources: SourceReader
    outputs: OutputFetcher
    rules: Rules
    source_mode: str
    webhook_url: str | None
    #: All in ms of the API's time.
    ingest_deadline_ms: int
    job_deadline_ms: int
    billing_lateness_ms: int
    #: What a job costs, as the settings say; None: as the billing ledger does.
    job_price_usd: Decimal | None
    #: Without one the key stays what it is.
    keyring: Keyring | None = None
    #: A random number in [0, 1) for the spread of waits.
    jitter: Callable[[], float] = random.random
    #: How busy the account is, as the latest batch was told.
    load: Load = field(default_factory=Load)
    #: Who counts what is done, and who is told the way of each photo.
    meter: Meter = field(default_factory=lambda: Meters().account(DEFAULT))
    tracer: Tracer = OFF
    _silent: tuple[float, bool] = (float("-inf"), False)
    #: Hosts from which the API could not fetch a source; `auto` uploads theirs.
    unfetchable: set[str | None] = field(default_factory=set)

    @property
    def ledger(self) -> Ledger:
        """The account's ledger."""
        return self.account.ledger

    @property
    def admission(self) -> Admission:
        """The account's permission to call."""
        return self.account.admission

    @property
    def limits(self) -> Limits:
        """The account's budgets and cap."""
        return self.account.limits

    async def key_renewed(self, *, look_closer: bool = False) -> bool:
        """Take over the key that the account's file has now; with another one the account's pause is over."""
        if self.keyring is None or not await self.keyring.renewed(look_closer=look_closer):
            return False
        await self.account.parking.mended()
        return True

    async def key_was_replaced(self, key_number: int) -> bool:
        """Say whether a call was sent with a key that is not the account's any more; its file is read once more."""
        if key_number == self.katalo.key_number:
            await self.key_renewed(look_closer=True)
        return key_number != self.katalo.key_number

    @property
    def cadence(self) -> Cadence:
        """When to read the account's ingests and jobs."""
        return self.account.cadence

    async def webhooks_come(self) -> bool:
        """Say whether a webhook is to be expected for each job: asked for, and not all of them lost of late."""
        if self.webhook_url is None:
            return False
        read_s, silent = self._silent
        if time.monotonic() - read_s > SILENCE_KEPT_S:
            before, silent = silent, await self.account.inbox.silent()
            self._silent = (time.monotonic(), silent)
            if silent and not before:
                logger.warning("no webhook comes: jobs are read until they end", extra={"asked_for": self.webhook_url})
            elif before and not silent:
                logger.info("webhooks come again")
        return not silent


def limits_of(settings: Settings) -> Limits:
    """Return the budgets in force: the settings' windows on the fleet's clock, each with its guard."""
    # However fast the API's clock runs in the sandbox, the delays on this machine stay what they are.
    guard_ms = settings.guard_ms
    budgets = {}
    for route in Route:
        limit = getattr(settings.limits, route.value)
        window_ms = int(limit.window_s * 1000 / settings.speed) + guard_ms
        budgets[route] = Budget(route=route, count=limit.count, window_ms=window_ms)
    return Limits(
        budgets=budgets,
        in_flight=settings.limits.in_flight,
        guard_ms=guard_ms,
        fixed=frozenset(settings.limits.model_fields_set),
        caps=caps_of(settings.caps),
    )


def caps_of(caps: CapSettings) -> Caps:
    """Return the caps on what may be bought, as the scripts take them."""
    return Caps(
        account=Cap(per_day=caps.account_per_day, per_period=caps.account_per_period),
        partner=Cap(per_day=caps.partner_per_day, per_period=caps.partner_per_period),
        partners={name: Cap(per_day=cap.per_day, per_period=cap.per_period) for name, cap in caps.partners.items()},
        stop_at_included=caps.stop_at_included,
    )


def destinations_of(settings: Settings) -> Destinations:
    """Return where completion messages go: the stream, and the outboxes of all other sinks."""
    streams = [sink.target for sink in settings.sinks if sink.kind is SinkKind.STREAM]
    return Destinations(
        stream=streams[0] if streams else "",
        stream_length=settings.completions_max_len,
        outboxes=tuple(sink.name for sink in settings.sinks if sink.kind is not SinkKind.STREAM),
    )


def webhook_url_of(settings: Settings) -> str | None:
    """Return where the API sends the webhooks of the settings' account; None: nobody asks for any."""
    if settings.webhook_public_url is None:
        return None
    account = settings.origin.account
    unnamed = account == DEFAULT or len(accounts_of(settings)) == 1
    return callback_url(settings.webhook_public_url, None if unnamed else account)


@contextlib.asynccontextmanager
async def open_account(settings: Settings, account: str | None = None) -> AsyncIterator[Account]:
    """Open what touches Redis only; of the account that the settings are of unless one is named.

    Raises UnknownAccount, and `redis.exceptions.RedisError` at first use, not here.
    """
    settings = settings_for(settings, account)
    account = settings.origin.account
    redis = Redis.from_url(settings.redis_url_text, decode_responses=True, protocol=2, **redis_options(settings))
    limits = limits_of(settings)
    forgets_ms = int(REDIS_FORGETS_MS / settings.speed)
    scripts = Scripts(redis, keys.root(account), forgets_ms=forgets_ms)
    cadence = Cadence(scripts, limits, speed=settings.speed)
    weights = settings.partner_weights
    ledger = Ledger(
        scripts,
        prospects=Prospects(scripts, cadence, weights=weights, speed=settings.speed),
        account=account,
        limits=limits,
        destinations=destinations_of(settings),
        retention_ms=int(settings.retention_days * 86_400_000),
        lease_ms=int(settings.lease_s * 1000),
        tracer=tracing.of_process(),
    )
    dispatching = Dispatching(
        scripts,
        limits,
        cadence=cadence,
        lease_ms=int(settings.lease_s * 1000),
        look_ahead=settings.look_ahead,
        ageing_ms=int(settings.ageing_s * 1000),
        speed=settings.speed,
        weights=settings.partner_weights,
    )
    try:
        yield Account(
            redis=redis,
            scripts=scripts,
            limits=limits,
            ledger=ledger,
            inbox=Inbox(scripts),
            admission=Admission(scripts, limits),
            dispatching=dispatching,
            cadence=cadence,
            parking=Parking(
                scripts,
                account=account,
                speed=settings.speed,
                destinations=destinations_of(settings).wire(),
            ),
            usage=UsageBook(scripts),
            duties=Duties(scripts),
            bought=BoughtJobs(scripts),
            bills=Bills(scripts),
            uncertain=UncertainPhotos(scripts),
            purge=Purge(scripts),
        )
    finally:
        await redis.aclose()


@contextlib.asynccontextmanager
async def open_ledger(settings: Settings, account: str | None = None) -> AsyncIterator[Ledger]:
    """Open the ledger alone: what the CLI uses."""
    async with open_account(settings, account) as opened:
        yield opened.ledger


@contextlib.asynccontextmanager
async def open_services(
    settings: Settings, account: str | None = None, *, live: LiveAccounts | None = None, meters: Meters | None = None
) -> AsyncIterator[Services]:
    """Open everything a worker needs for one account; `live` has its key when that changes, `meters` count.

    Raises UnknownAccount, and StoreError when the store's URL can't be used.
    """
    settings = settings_for(settings, account)
    meter = (meters or Meters()).account(settings.origin.account)
    tracer = tracing.of_process()
    async with contextlib.AsyncExitStack() as stack:
        opened = await stack.enter_async_context(open_account(settings))
        store = open_store(settings.storage_url)
        katalo = await stack.enter_async_context(
            KataloClient(
                base_url=settings.katalo_base_url,
                api_key=settings.katalo_api_key.get_secret_value() if settings.katalo_api_key else "",
                max_connections=2 * settings.hands + 16,
                watch=partial(_called, meter, tracer),
            )
        )
        sources = SourceReader(allow_private_hosts=settings.allow_private_hosts, max_bytes=settings.max_source_bytes)
        stack.push_async_callback(sources.aclose)
        outputs = OutputFetcher(allow_private_hosts=settings.allow_private_hosts, max_bytes=settings.max_output_bytes)
        stack.push_async_callback(outputs.aclose)
        yield Services(
            account=opened,
            katalo=katalo,
            store=store,
            sources=sources,
            outputs=outputs,
            rules=Rules(max_attempts=settings.max_attempts, speed=settings.speed),
            source_mode=settings.source_mode,
            webhook_url=webhook_url_of(settings),
            ingest_deadline_ms=int(settings.ingest_deadline_s * 1000),
            job_deadline_ms=int(settings.job_deadline_s * 1000),
            keyring=Keyring(katalo, live, settings.origin.account) if live is not None else None,
            billing_lateness_ms=int(settings.billing_lateness_h * 3_600_000),
            job_price_usd=settings.job_price_usd,
            meter=meter,
            tracer=tracer,
        )


def _called(meter: Meter, tracer: Tracer, name: str, status: str, seconds: float) -> None:
    meter.call(name, status, seconds)
    tracer.call(name, status, seconds)
