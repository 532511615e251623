"""`GET /metrics`: the accounts as the ledger sees them now, for Prometheus. Nothing is counted in this process.

Whichever gateway is asked gives the same figures but for its own process's, so scrape one, or take the `max`. A scrape
costs O(partners) in Redis, however many photos wait. What each metric is stands in `worker/metrics/catalogue.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator
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
from worker.gateway.samples import Picture, samples
from worker.ledger.ages import read_ages
from worker.ledger.intake import IntakeCounters
from worker.metrics.catalogue import BY_NAME, FLEET, PREFIX, Kind

if TYPE_CHECKING:
    from worker.gateway.state import Gateway
    from worker.services import Account

logger = logging.getLogger(__name__)

#: Until Redis counts as away, in seconds: below Prometheus's own time-out of 10.
ANSWER_S: Final = 5.0
#: Kinds whose learnt durations are shown.
_LEARNT: Final = ("all", "ingest:upload", "ingest:url")


class PictureCollector(Collector):
    """The accounts' pictures as metric families."""

    def __init__(self, pictures: Iterable[Picture]) -> None:
        """`pictures`: one an account."""
        self._pictures = list(pictures)

    def collect(self) -> Iterator[Metric]:
        """Give every family that has samples once, with those of all accounts, in the order of the catalogue."""
        info = InfoMetricFamily(f"{PREFIX}build", BY_NAME["build"].said)
        info.add_metric([], {"version": worker.__version__})
        yield info
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for picture in self._pictures:
            for sample in samples(picture):
                metric = BY_NAME[sample.name]
                labels = {"account": picture.snapshot.account, **sample.labels}
                if sample.name not in families:
                    family = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
                    families[sample.name] = family(f"{PREFIX}{sample.name}", metric.said, labels=metric.labels)
                families[sample.name].add_metric([labels[name] for name in metric.labels], sample.value)
        yield from (families[metric.name] for metric in FLEET if metric.name in families)


def routes(gateway: Gateway) -> list[Route]:
    """Return the route that Prometheus scrapes."""

    async def metrics(request: Request) -> Response:
        try:
            async with asyncio.timeout(ANSWER_S):
                pictures = [await picture_of(account) for account in gateway.accounts.values()]
        except (RedisError, OSError, TimeoutError) as error:
            logger.warning("no metrics", extra={"reason": type(error).__name__})
            return PlainTextResponse("Redis does not answer\n", 503)
        registry = CollectorRegistry()
        registry.register(PictureCollector(pictures))
        ProcessCollector(registry=registry)
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"Content-Type": content_type})

    return [Route("/metrics", metrics)]


async def picture_of(account: Account) -> Picture:
    """Return the account as it is now. Raises RedisError."""
    return Picture(
        snapshot=await account.ledger.snapshot(),
        ages=await read_ages(account.scripts),
        tally=await account.inbox.tally(),
        intake=await IntakeCounters(account.scripts).totals(),
        prices=await account.bills.prices(),
        durations={kind: await account.cadence.learnt(kind) for kind in _LEARNT},
    )
