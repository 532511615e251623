"""Every metric there is: name, kind, unit, labels and meaning. `docs/metrics.md` is made from it.

Names follow Prometheus's conventions: base units, `_total` on counters, `_info` on facts. Label values are few: routes,
steps, stages, sinks, live workers, and at most `MOST_PARTNERS` partners (`worker/metrics/partners.py`). Nothing is
labelled by listing, photo or job.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

PREFIX: Final = "stagecrew_"


class Kind(StrEnum):
    """What Prometheus calls the type of a metric."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric; `name` without prefix and without the suffix of its kind."""

    name: str
    kind: Kind
    #: What a value of 1 is one of.
    unit: str
    said: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def shown(self) -> str:
        """The name as a query has it; a histogram's series have `_bucket`, `_sum` and `_count` behind it."""
        suffix = {Kind.COUNTER: "_total", Kind.INFO: "_info"}.get(self.kind, "")
        return f"{PREFIX}{self.name}{suffix}"


def _gauge(name: str, unit: str, said: str, *labels: str) -> Metric:
    return Metric(name=name, kind=Kind.GAUGE, unit=unit, said=said, labels=labels)


def _counter(name: str, unit: str, said: str, *labels: str) -> Metric:
    return Metric(name=name, kind=Kind.COUNTER, unit=unit, said=said, labels=labels)


def _histogram(name: str, unit: str, said: str, *labels: str, buckets: tuple[float, ...]) -> Metric:
    return Metric(name=name, kind=Kind.HISTOGRAM, unit=unit, said=said, labels=labels, buckets=buckets)


_A: Final = "account"

#: What every gateway shows: the ledger of each account at the moment of the scrape. Gauges unless said otherwise; the
#: counters are kept in Redis, so a restart of a process does not set them back.
FLEET: Final = (
    Metric(name="build", kind=Kind.INFO, unit="", said="The gateway's release.", labels=("version",)),
    _gauge("photos", "photos", "Photos by partner and stage; `done`, `failed` (the dead letters) and "
           "`cancelled` are all that ended so and were neither begun again nor purged.", _A, "partner", "stage"),
    _gauge("backlog_oldest_seconds", "seconds", "How long ago the oldest photo that waits for a budget was accepted; "
           "`backlog` is `source` or `generation`, `stopped` is `true` while a pause or a cap stops the partner.",
           _A, "partner", "backlog", "stopped"),
    _gauge("backlog_photos", "photos", "Photos that wait for a budget.", _A, "partner", "backlog", "stopped"),
    _gauge("held_oldest_seconds", "seconds", "How long the oldest parked or uncertain photo has been so.",
           _A, "stage"),
    _gauge("overdue_seconds", "seconds", "How late the most belated photo of a step is; a few seconds are usual.",
           _A, "step"),
    _gauge("slots_used", "jobs", "Jobs in flight.", _A),
    _gauge("slots", "jobs", "Jobs that may be in flight: the cap in force.", _A),
    _gauge("budget_used", "calls", "Calls granted in the current window.", _A, "route"),
    _gauge("budget_left", "calls", "Calls left in the current window.", _A, "route"),
    _gauge("budget_paused_seconds", "seconds", "Until a refused route is called again.", _A, "route"),
    _gauge("budgets_held_seconds", "seconds", "Until budgets count again after Redis restarted.", _A),
    _counter("grants", "calls", "Calls granted so far.", _A, "route"),
    _counter("refusals", "calls", "Calls that the API refused by flow control (429) so far.", _A, "route"),
    _gauge("learnt_duration_seconds", "seconds", "How long jobs (`all`) and ingests take of late, by quantile.",
           _A, "kind", "quantile"),
    _gauge("leases", "photos", "Photos that are being worked on.", _A),
    _gauge("account_paused", "0 or 1", "1 while the account is parked, because the API refuses it as a whole.", _A),
    _gauge("account_paused_by_people", "0 or 1", "1 while a person has paused the account.", _A),
    _gauge("workers", "workers", "Workers that live.", _A),
    _gauge("leaders", "workers", "1 while a worker's dispatcher leads.", _A),
    _gauge("worker_leads", "0 or 1", "1 for the worker whose dispatcher leads.", _A, "worker"),
    _gauge("worker_hands", "photos", "Photos that a worker can work on at once.", _A, "worker"),
    _gauge("worker_busy", "photos", "Photos that a worker works on.", _A, "worker"),
    _gauge("jobs_bought", "jobs", "Jobs bought since the ledger began. It goes down by one when a create turns out to "
           "have been refused.", _A),
    _gauge("jobs_bought_today", "jobs", "Jobs bought since midnight (UTC).", _A),
    _gauge("partner_jobs_bought_today", "jobs", "The same by partner.", _A, "partner"),
    _gauge("job_price_usd", "US dollars", "The last price that the billing ledger showed, by usage type.", _A, "usage"),
    _gauge("photos_capped", "photos", "Photos that wait for a cap on what may be bought; `partner` is empty for the "
           "account's.", _A, "partner", "cap"),
    _gauge("usage", "as the API has it", "Numbers of the usage summary as last read.", _A, "number"),
    _gauge("usage_age_seconds", "seconds", "How old that summary is.", _A),
    _gauge("usage_enabled", "0 or 1", "1 while the summary says that the API may be used.", _A),
    _gauge("usage_period_end_timestamp_seconds", "seconds", "End of the billing period, since the epoch.", _A),
    _counter("webhooks", "webhooks", "Webhooks so far, by what became of them.", _A, "outcome"),
    _gauge("webhooks_kept", "webhooks", "Webhooks whose job is not known here yet.", _A),
    _gauge("jobs_unheard", "jobs", "Jobs read as over since the last webhook came; beyond 20, jobs are read as without "
           "webhooks.", _A),
    _counter("intake_photos", "photos", "Photos that came in over the network so far, by what became of them.",
             _A, "door", "outcome"),
    _counter("intake_listings", "listings", "Listings that came in over the network so far.", _A, "door"),
    _counter("intake_bad_records", "records", "Records and photos that were refused so far.", _A, "door"),
    _counter("intake_hand_overs", "requests", "Requests and messages with records so far.", _A, "door"),
    _gauge("sink_waiting", "messages", "Messages that a sink has not taken yet.", _A, "sink"),
    _gauge("sink_oldest_seconds", "seconds", "How long the oldest of them has been waiting.", _A, "sink"),
    _gauge("sink_dead_letters", "messages", "Messages that were given up and wait for a replay.", _A, "sink"),
    _gauge("sink_down", "0 or 1", "1 while a sink can't be reached.", _A, "sink"),
    _counter("sink_delivered", "messages", "Messages delivered so far.", _A, "sink"),
    _counter("sink_given_up", "messages", "Messages given up so far.", _A, "sink"),
)  # fmt: skip

_STEP_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_CALL_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_PHOTO_S: Final = (10, 30, 60, 120, 300, 600, 1800, 3600, 10_800, 43_200, 86_400, 604_800)
_LAG_S: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 5)

#: What each worker shows: what this process did since it started.
WORKER: Final = (
    Metric(name="worker", kind=Kind.INFO, unit="", said="The worker's release and name.", labels=("version", "worker")),
    _gauge("serving", "0 or 1", "1 while the worker serves the account: its store and connections are open.", _A),
    _gauge("hands", "photos", "Photos that this worker can work on at once.", _A),
    _gauge("hands_busy", "photos", "Photos that it works on.", _A),
    _counter("steps", "steps", "Steps run, one a photo, by outcome: `go`, `wait`, `backlog`, `retry`, `fail`; `stale` "
             "when another worker had the photo; `lost` when its lease went elsewhere meanwhile; `unsettled` when "
             "Redis was away.", _A, "step", "outcome"),
    _counter("step_errors", "steps", "Steps that met an error nobody foresaw; the log has it.", _A, "step"),
    _histogram("step_duration_seconds", "seconds", "How long a step of one photo took, settling included.",
               _A, "step", buckets=_STEP_S),
    _histogram("batch_photos", "photos", "Photos in a message.", _A, "step", buckets=(1, 2, 4, 8, 16, 32, 64)),
    _histogram("photo_duration_seconds", "seconds", "From a photo's acceptance to its end, by the stage it ended in.",
               _A, "stage", buckets=_PHOTO_S),
    _histogram("api_request_duration_seconds", "seconds", "How long a call of the API took.",
               _A, "route", buckets=_CALL_S),
    _counter("api_requests", "calls", "Calls of the API, by HTTP status; `none` when no answer came, `unsent` when no "
             "connection could be made.", _A, "route", "status"),
    _counter("source_bytes", "bytes", "Bytes of sources that were uploaded to the API.", _A),
    _counter("output_bytes", "bytes", "Bytes of outputs that were stored.", _A),
    _histogram("loop_lag_seconds", "seconds", "How late the event loop is: a loop that hangs starves everything.",
               buckets=_LAG_S),
    _counter("log_lines", "lines", "Lines logged by level; `warning` and above.", "level"),
)  # fmt: skip

BY_NAME: Final[Mapping[str, Metric]] = {metric.name: metric for metric in (*FLEET, *WORKER)}
