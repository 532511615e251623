"""What a worker process counts. It costs about a microsecond a count, and works whether or not anybody asks.

A process has one `Meters`; each account's `Meter` adds to it under the account's name.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, disable_created_metrics
from prometheus_client.metrics import MetricWrapperBase

from worker.core.photo import ENDED, StepName
from worker.core.routes import Route
from worker.metrics.catalogue import PREFIX, WORKER, Kind, Metric

#: The calls of `worker/katalo/client.py` by their budget; a source that the API fetches counts as its POST only.
ROUTES: Final = {
    "POST /source-assets": Route.SOURCE_ASSETS,
    "GET /source-assets": Route.INGEST_READS,
    "POST /generations": Route.GENERATIONS,
    "POST /generations/regenerate": Route.REGENERATE,
    "GET /generations": Route.GENERATION_READS,
    "GET /usage/summary": Route.USAGE,
    "GET /billing/events": Route.BILLING,
}


class Meters:
    """All metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        """Begin at zero."""
        # A second series for each counter, which says when the first was begun, is of no use here.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._metrics: dict[str, Any] = {metric.name: _made(metric, self.registry) for metric in WORKER}
        # Looking a child up by its labels costs as much as counting.
        self._children: dict[tuple[str, ...], Any] = {}

    def child(self, name: str, *labels: str) -> Any:
        """Return the series of a metric with these labels."""
        key = (name, *labels)
        found = self._children.get(key)
        if found is None:
            metric = self._metrics[name]
            found = self._children[key] = metric.labels(*labels) if labels else metric
        return found

    def about(self, *, version: str, worker: str) -> None:
        """Say who this is."""
        self._metrics["worker"].info({"version": version, "worker": worker})

    def loop_lag(self, seconds: float) -> None:
        """Note how late the event loop was."""
        self.child("loop_lag_seconds").observe(seconds)

    def log_handler(self) -> logging.Handler:
        """Return a handler that counts what is logged."""
        return _Lines(self)

    def account(self, name: str) -> Meter:
        """Return an account's meter."""
        return Meter(self, name)


class Meter:
    """Counts what is done for one account."""

    def __init__(self, meters: Meters, account: str) -> None:
        """Add to `meters`."""
        self._meters = meters
        self._account = account

    def batch(self, step: str, photos: int, *, opened: int) -> None:
        """Count a message; those of its photos that were not `opened` are somebody else's."""
        self._meters.child("batch_photos", self._account, step).observe(photos)
        if opened < photos:
            self._meters.child("steps", self._account, step, "stale").inc(photos - opened)

    def step(self, step: str, outcome: str, seconds: float) -> None:
        """Count a step of one photo."""
        self._meters.child("steps", self._account, step, outcome).inc()
        self._meters.child("step_duration_seconds", self._account, step).observe(seconds)

    def error(self, step: str) -> None:
        """Count an error that nobody foresaw."""
        self._meters.child("step_errors", self._account, step).inc()

    def ended(self, stage: str, seconds: float) -> None:
        """Count a photo that has ended, so long after it was accepted."""
        self._meters.child("photo_duration_seconds", self._account, stage).observe(seconds)

    def call(self, name: str, status: str, seconds: float) -> None:
        """Count a call of the API, by the client's name for it."""
        route = ROUTES[name].value
        self._meters.child("api_requests", self._account, route, status).inc()
        self._meters.child("api_request_duration_seconds", self._account, route).observe(seconds)

    def taken_in(self, size_bytes: int) -> None:
        """Count a source that was uploaded."""
        self._meters.child("source_bytes", self._account).inc(size_bytes)

    def stored(self, size_bytes: int) -> None:
        """Count outputs that were stored."""
        self._meters.child("output_bytes", self._account).inc(size_bytes)

    def serving(self, *, hands: int, busy: Callable[[], float]) -> None:
        """Say that the account is served; `busy` is asked at each scrape."""
        # From zero on: what a series begins with is no increase to Prometheus, and alerts wait for the first.
        for step in StepName:
            self._meters.child("step_errors", self._account, step.value)
        for stage in sorted(ENDED):
            self._meters.child("photo_duration_seconds", self._account, stage.value)
        self._meters.child("serving", self._account).set(1)
        self._meters.child("hands", self._account).set(hands)
        self._meters.child("hands_busy", self._account).set_function(busy)

    def not_serving(self) -> None:
        """Say that the account is not served (any more)."""
        self._meters.child("serving", self._account).set(0)
        self._meters.child("hands", self._account).set(0)
        self._meters.child("hands_busy", self._account).set_function(lambda: 0.0)


class _Lines(logging.Handler):
    """Counts lines by level and writes nothing."""

    def __init__(self, meters: Meters) -> None:
        super().__init__(logging.WARNING)
        self._meters = meters

    def emit(self, record: logging.LogRecord) -> None:
        self._meters.child("log_lines", record.levelname.lower()).inc()


def _made(metric: Metric, registry: CollectorRegistry) -> MetricWrapperBase:
    name, labels = f"{PREFIX}{metric.name}", metric.labels
    match metric.kind:
        case Kind.COUNTER:
            return Counter(name, metric.said, labels, registry=registry)
        case Kind.GAUGE:
            return Gauge(name, metric.said, labels, registry=registry)
        case Kind.HISTOGRAM:
            return Histogram(name, metric.said, labels, registry=registry, buckets=metric.buckets)
        case Kind.INFO:
            return Info(name, metric.said, registry=registry)
