"""An account's picture as samples of the metrics in `worker/metrics/catalogue.py`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from worker.core.durations import Durations
from worker.core.moments import parse_ms
from worker.core.photo import ENDED, Stage
from worker.ledger.ages import Ages, Waiting
from worker.ledger.inbox import Tally
from worker.ledger.snapshot import Snapshot
from worker.metrics.partners import OTHERS, named

if TYPE_CHECKING:
    from worker.katalo.accounting import UsageSummary

_QUANTILES: Final = (0.5, 0.9, 0.99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One account at the moment of the scrape."""

    snapshot: Snapshot
    ages: Ages
    tally: Tally
    #: What came in over the network, by door and name (`worker/ledger/intake.py`).
    intake: Mapping[tuple[str, str], int] = field(default_factory=dict)
    #: The last price of each usage type, in USD; and how long jobs and ingests take, by kind.
    prices: Mapping[str, Decimal] = field(default_factory=dict)
    durations: Mapping[str, Durations] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sample:
    """One value: its metric's name in the catalogue, and its labels but for the account."""

    name: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


def samples(picture: Picture) -> Iterator[Sample]:
    """Give all samples of an account."""
    snapshot = picture.snapshot
    yield from _partners(picture)
    for stage, ms in picture.ages.held.items():
        yield Sample("held_oldest_seconds", ms / 1000, {"stage": stage.value})
    for step, ms in picture.ages.overdue.items():
        yield Sample("overdue_seconds", ms / 1000, {"step": step.value})
    yield Sample("slots_used", snapshot.slots_used)
    yield Sample("slots", snapshot.slots_cap)
    yield from _budgets(snapshot)
    yield Sample("budgets_held_seconds", snapshot.hold_ms / 1000)
    for kind, durations in picture.durations.items():
        for quantile in _QUANTILES if durations.known else ():
            labels = {"kind": kind, "quantile": str(quantile)}
            yield Sample("learnt_duration_seconds", durations.age_ms(quantile) / 1000, labels)
    yield Sample("leases", snapshot.leases)
    yield Sample("account_paused", int(snapshot.paused_reason is not None))
    yield Sample("account_paused_by_people", int(any(pause.partner is None for pause in snapshot.pauses)))
    yield from _money(picture)
    yield Sample("workers", len(snapshot.workers))
    yield Sample("leaders", int(snapshot.leader is not None))
    for found in snapshot.workers:
        labels = {"worker": found.name}
        yield Sample("worker_leads", int(found.name == snapshot.leader), labels)
        yield Sample("worker_hands", found.hands, labels)
        yield Sample("worker_busy", found.busy, labels)
    for outcome, number in picture.tally.outcomes.items():
        yield Sample("webhooks", number, {"outcome": outcome.value})
    yield Sample("webhooks_kept", picture.tally.kept)
    yield from _intake(picture.intake)
    yield Sample("jobs_unheard", picture.tally.unheard)
    yield from _sinks(snapshot)


def _partners(picture: Picture) -> Iterator[Sample]:
    """Give what is told by partner; those that are not named are added up."""
    snapshot = picture.snapshot
    names = named(
        {
            partner: sum(number for stage, number in stages.items() if stage not in ENDED)
            for partner, stages in snapshot.partners.items()
        }
    )
    photos: Counter[tuple[str, Stage]] = Counter()
    for partner, stages in snapshot.partners.items():
        for stage, number in stages.items():
            photos[partner if partner in names else OTHERS, stage] += number
    for partner in dict.fromkeys(partner for partner, _ in photos):
        for stage in Stage:
            # From zero on: what a series began with counts as no increase.
            yield Sample("photos", photos[partner, stage], {"partner": partner, "stage": stage.value})
    yield from _backlogs(picture, names)
    bought: Counter[str] = Counter()
    for name, jobs in snapshot.bought_by_partner.items():
        bought[name if name in names else OTHERS] += jobs
    for partner, jobs in bought.items():
        yield Sample("partner_jobs_bought_today", jobs, {"partner": partner})
    capped: Counter[tuple[str, str]] = Counter()
    for view in snapshot.capped:
        name = view.partner or ""
        capped[name if name in names or not name else OTHERS, view.cap] += view.waiting
    for (partner, cap), photos_waiting in capped.items():
        yield Sample("photos_capped", photos_waiting, {"partner": partner, "cap": cap})


def _backlogs(picture: Picture, names: frozenset[str]) -> Iterator[Sample]:
    backlogs: dict[tuple[str, str, bool], Waiting] = {}
    for (kind, name), waiting in picture.ages.backlogs.items():
        which = (kind, name if name in names else OTHERS, picture.snapshot.waits(name))
        known = backlogs.get(which, Waiting(photos=0, oldest_ms=0))
        backlogs[which] = Waiting(
            photos=known.photos + waiting.photos, oldest_ms=max(known.oldest_ms, waiting.oldest_ms)
        )
    for (kind, partner, stopped), waiting in backlogs.items():
        labels = {"partner": partner, "backlog": kind, "stopped": "true" if stopped else "false"}
        yield Sample("backlog_photos", waiting.photos, labels)
        yield Sample("backlog_oldest_seconds", waiting.oldest_ms / 1000, labels)


def _sinks(snapshot: Snapshot) -> Iterator[Sample]:
    for sink in snapshot.sinks:
        labels = {"sink": sink.name}
        yield Sample("sink_waiting", sink.waiting, labels)
        yield Sample("sink_oldest_seconds", sink.oldest_ms / 1000, labels)
        yield Sample("sink_dead_letters", sink.dead, labels)
        yield Sample("sink_down", int(sink.times_down > 0), labels)
        yield Sample("sink_delivered", sink.delivered_total, labels)
        yield Sample("sink_given_up", sink.dead_total, labels)


def _intake(counts: Mapping[tuple[str, str], int]) -> Iterator[Sample]:
    for (door, name), number in counts.items():
        if name in {"listings", "bad_records", "hand_overs"}:
            yield Sample(f"intake_{name}", number, {"door": door})
        else:
            yield Sample("intake_photos", number, {"door": door, "outcome": name})


def _money(picture: Picture) -> Iterator[Sample]:
    snapshot = picture.snapshot
    yield Sample("jobs_bought", snapshot.bought_total)
    yield Sample("jobs_bought_today", snapshot.bought_today)
    for usage, price in picture.prices.items():
        yield Sample("job_price_usd", float(price), {"usage": usage})
    if snapshot.usage is None:
        return
    summary = snapshot.usage.summary
    yield Sample("usage_age_seconds", max(0, snapshot.now_ms - snapshot.usage.read_ms) / 1000)
    if summary.enabled is not None:
        yield Sample("usage_enabled", int(summary.enabled))
    if (ends_ms := parse_ms(summary.period_end)) is not None:
        yield Sample("usage_period_end_timestamp_seconds", ends_ms / 1000)
    for name, number in (*summary.usage.items(), *_jobs(summary)):
        yield Sample("usage", float(number), {"number": name})


def _jobs(summary: UsageSummary) -> Iterator[tuple[str, Decimal]]:
    return ((f"jobs_{name}", number) for name, number in summary.jobs.items())


def _budgets(snapshot: Snapshot) -> Iterator[Sample]:
    for budget in snapshot.budgets:
        labels = {"route": budget.route}
        yield Sample("budget_used", budget.used, labels)
        yield Sample("budget_left", max(0, budget.count - budget.used), labels)
        yield Sample("budget_paused_seconds", budget.paused_ms / 1000, labels)
        yield Sample("grants", budget.granted_total, labels)
        yield Sample("refusals", budget.refused_total, labels)
