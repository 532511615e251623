"""`GET /metrics`: the accounts as the ledger sees them now, for Prometheus. Nothing is counted in this process.

Whichever gateway is asked gives the same figures but for its own process's, so scrape one, or take the `max`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

import worker
from worker.core.moments import parse_ms
from worker.ledger.inbox import Tally
from worker.ledger.intake import IntakeCounters
from worker.ledger.snapshot import Snapshot

if TYPE_CHECKING:
    from worker.gateway.state import Gateway
    from worker.katalo.accounting import UsageSummary
    from worker.services import Account

logger = logging.getLogger(__name__)

#: Until Redis counts as away, in seconds: below Prometheus's own time-out of 10.
ANSWER_S: Final = 5.0
_PREFIX: Final = "stagecrew"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One account at the moment of the scrape."""

    snapshot: Snapshot
    tally: Tally
    #: What came in over the network, by door and name (`worker/ledger/intake.py`).
    intake: Mapping[tuple[str, str], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sample:
    """One value: its family's name without the prefix and its help, and its labels."""

    name: str
    said: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    counts: bool = False


class PictureCollector(Collector):
    """The accounts' pictures as metric families."""

    def __init__(self, pictures: Iterable[Picture]) -> None:
        """`pictures`: one an account."""
        self._pictures = list(pictures)

    def collect(self) -> Iterator[Metric]:
        """Give every family once, with the samples of all accounts."""
        info = InfoMetricFamily(f"{_PREFIX}_build", "The gateway's release.")
        info.add_metric([], {"version": worker.__version__})
        yield info
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for picture in self._pictures:
            for sample in _samples(picture):
                labels = {"account": picture.snapshot.account, **sample.labels}
                if sample.name not in families:
                    kind = CounterMetricFamily if sample.counts else GaugeMetricFamily
                    families[sample.name] = kind(f"{_PREFIX}_{sample.name}", sample.said, labels=list(labels))
                families[sample.name].add_metric(list(labels.values()), sample.value)
        yield from families.values()


def _samples(picture: Picture) -> Iterator[Sample]:
    snapshot, tally = picture.snapshot, picture.tally
    for partner, stages in snapshot.partners.items():
        for stage, number in stages.items():
            yield Sample("photos", "Photos by partner and stage.", number, {"partner": partner, "stage": stage.value})
    yield Sample("slots_used", "Jobs in flight.", snapshot.slots_used)
    yield Sample("slots", "Jobs that may be in flight: the cap in force.", snapshot.slots_cap)
    yield from _budgets(snapshot)
    yield Sample("budgets_held_seconds", "Until budgets count again after Redis restarted.", snapshot.hold_ms / 1000)
    yield Sample("leases", "Photos that are being worked on.", snapshot.leases)
    yield Sample("account_paused", "1 while the whole account is paused.", int(snapshot.paused_reason is not None))
    yield from _money(snapshot)
    yield Sample("workers", "Workers that live.", len(snapshot.workers))
    yield Sample("leaders", "1 while a worker leads.", int(snapshot.leader is not None))
    for found in snapshot.workers:
        labels = {"worker": found.name, "leads": "true" if found.name == snapshot.leader else "false"}
        yield Sample("worker_hands", "Photos that a worker can work on at once.", found.hands, labels)
        yield Sample("worker_busy", "Photos that a worker works on.", found.busy, labels)
    for outcome, number in tally.outcomes.items():
        said = "Webhooks so far, by what became of them."
        yield Sample("webhooks", said, number, {"outcome": outcome.value}, counts=True)
    yield Sample("webhooks_kept", "Webhooks whose job is not known here yet.", tally.kept)
    yield from _intake(picture.intake)
    yield Sample("jobs_unheard", "Jobs read as over since the last webhook came.", tally.unheard)
    yield from _sinks(snapshot)


def _sinks(snapshot: Snapshot) -> Iterator[Sample]:
    for sink in snapshot.sinks:
        labels = {"sink": sink.name}
        yield Sample("sink_waiting", "Messages that a sink has not taken yet.", sink.waiting, labels)
        oldest_s = sink.oldest_ms / 1000
        yield Sample("sink_oldest_seconds", "How long the oldest of them has been waiting.", oldest_s, labels)
        yield Sample("sink_dead_letters", "Messages that were given up and wait for a replay.", sink.dead, labels)
        yield Sample("sink_down", "1 while a sink can't be reached.", int(sink.times_down > 0), labels)
        yield Sample("sink_delivered", "Messages delivered so far.", sink.delivered_total, labels, counts=True)
        yield Sample("sink_given_up", "Messages given up so far.", sink.dead_total, labels, counts=True)


def _intake(counts: Mapping[tuple[str, str], int]) -> Iterator[Sample]:
    families = {
        "listings": "Listings that came in over the network so far.",
        "bad_records": "Records and photos that were refused so far.",
        "hand_overs": "Requests and messages with records so far.",
    }
    for (door, name), number in counts.items():
        if name in families:
            yield Sample(f"intake_{name}", families[name], number, {"door": door}, counts=True)
        else:
            said = "Photos that came in over the network so far, by what became of them."
            yield Sample("intake_photos", said, number, {"door": door, "outcome": name}, counts=True)


def _money(snapshot: Snapshot) -> Iterator[Sample]:
    yield Sample("jobs_bought_today", "Jobs bought since midnight (UTC).", snapshot.bought_today)
    for view in snapshot.capped:
        labels = {"partner": view.partner or "", "cap": view.cap}
        yield Sample("photos_capped", "Photos that wait for a cap on what may be bought.", view.waiting, labels)
    if snapshot.usage is None:
        return
    summary = snapshot.usage.summary
    if summary.enabled is not None:
        yield Sample("usage_enabled", "1 while the summary says that the API may be used.", int(summary.enabled))
    if (ends_ms := parse_ms(summary.period_end)) is not None:
        yield Sample("usage_period_end_seconds", "End of the billing period, seconds since the epoch.", ends_ms / 1000)
    for name, number in (*summary.usage.items(), *_jobs(summary)):
        yield Sample("usage", "Numbers of the usage summary as last read.", float(number), {"number": name})


def _jobs(summary: UsageSummary) -> Iterator[tuple[str, Decimal]]:
    return ((f"jobs_{name}", number) for name, number in summary.jobs.items())


def _budgets(snapshot: Snapshot) -> Iterator[Sample]:
    for budget in snapshot.budgets:
        labels = {"route": budget.route}
        left = max(0, budget.count - budget.used)
        yield Sample("budget_used", "Calls granted in the current window.", budget.used, labels)
        yield Sample("budget_left", "Calls left in the current window.", left, labels)
        yield Sample("budget_paused_seconds", "Until a refused route is called again.", budget.paused_ms / 1000, labels)
        yield Sample("grants", "Calls granted so far.", budget.granted_total, labels, counts=True)
        yield Sample("refusals", "Calls that the API refused so far.", budget.refused_total, labels, counts=True)


def routes(gateway: Gateway) -> list[Route]:
    """Return the route that Prometheus scrapes."""

    async def metrics(request: Request) -> Response:
        try:
            async with asyncio.timeout(ANSWER_S):
                pictures = [await _picture(account) for account in gateway.accounts.values()]
        except (RedisError, OSError, TimeoutError) as error:
            logger.warning("no metrics", extra={"reason": type(error).__name__})
            return PlainTextResponse("Redis does not answer\n", 503)
        registry = CollectorRegistry()
        registry.register(PictureCollector(pictures))
        ProcessCollector(registry=registry)
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"Content-Type": content_type})

    return [Route("/metrics", metrics)]


async def _picture(account: Account) -> Picture:
    return Picture(
        snapshot=await account.ledger.snapshot(),
        tally=await account.inbox.tally(),
        intake=await IntakeCounters(account.scripts).totals(),
    )
