"""Turns what `snapshot.lua` took into the picture that people are shown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from worker.core.photo import UNPAID, Stage
from worker.flow.limits import Limits, corrected
from worker.flow.parking import ParkingState, parked_of
from worker.katalo.accounting import usage_of
from worker.ledger.outbox import Destinations, sink_views
from worker.ledger.snapshot import BudgetView, CappedView, PauseView, Snapshot, WorkerView
from worker.ledger.usage import UsageRead


def snapshot_of(account: str, found: Mapping[str, Any], settled: Limits, destinations: Destinations) -> Snapshot:
    """Return the picture that `snapshot.lua` took.

    `settled`, `destinations`: what the settings say of limits and of where messages go.
    """
    limits = corrected(settled, found["limits"] or {})
    now_ms = int(found["now_ms"])
    totals, pauses = found["totals"] or {}, found["pauses"] or {}
    partners: dict[str, dict[Stage, int]] = {}
    for name, count in (found["partners"] or {}).items():
        partner, stage = json.loads(name)
        if int(count):
            partners.setdefault(partner, {})[Stage(stage)] = int(count)
    used = {route: int(count) for route, count in found["budgets"] or ()}
    parked = parked_of(found.get("parking") or {})
    workers = [(name, int(age_ms), json.loads(hands)) for name, age_ms, hands in found["workers"] or ()]
    return Snapshot(
        account=account,
        now_ms=now_ms,
        stages={Stage(stage): int(count) for stage, count in (found["stages"] or {}).items() if int(count)},
        partners=partners,
        slots_used=int(found["slots"]),
        slots_cap=min(limits.in_flight, int((found["cap"] or {}).get("limit", limits.in_flight))),
        budgets=tuple(
            BudgetView(
                route=budget.route.value,
                used=used.get(budget.route.value, 0),
                count=budget.count,
                window_ms=budget.window_ms,
                paused_ms=max(0, int(float(pauses.get(budget.route.value, 0))) - now_ms),
                granted_total=int(totals.get(f"granted:{budget.route.value}", 0)),
                refused_total=int(totals.get(f"refused:{budget.route.value}", 0)),
            )
            for budget in limits.budgets.values()
        ),
        workers=tuple(
            WorkerView(name=name, hands=int(hands[0]), busy=int(hands[1]), version=str(hands[2]), seen_ms_ago=age_ms)
            for name, age_ms, hands in workers
        ),
        leader=found.get("leader") or None,
        hold_ms=max(0, int(float(found.get("boot") or 0)) - now_ms),
        leases=int(found["leases"]),
        paused_reason=parked.reason if parked and parked.state is ParkingState.PARKED else None,
        pauses=tuple(_pause(what, json.loads(text)) for what, text in sorted((found["paused"] or {}).items())),
        paused_listings=int(found["paused_listings"]),
        sinks=sink_views(found["sinks"], destinations, now_ms),
        parked=parked,
        capped=tuple(_capped(found.get("capped") or {}, partners)),
        usage=_usage(found),
        bought_today=int((found.get("spend") or {}).get("account", 0)),
        bought_by_partner={
            who.removeprefix("partner:"): int(jobs)
            for who, jobs in (found.get("spend") or {}).items()
            if who.startswith("partner:")
        },
        bought_total=int(totals.get("bought", 0)),
    )


def _pause(what: str, told: Mapping[str, Any]) -> PauseView:
    partner = None if what == "account" else what.removeprefix("partner:")
    return PauseView(partner=partner, since_ms=int(told["since_ms"]), reason=told["note"], by=told["by"])


def _capped(why: Mapping[str, str], partners: Mapping[str, Mapping[Stage, int]]) -> Iterator[CappedView]:
    for who, text in sorted(why.items()):
        told = json.loads(text)
        partner = who.removeprefix("partner:") if who != "account" else None
        meant = partners.values() if partner is None else [partners.get(partner, {})]
        yield CappedView(
            partner=partner,
            cap=told["cap"],
            number=int(told["number"]) if told["number"] != "unknown" else None,
            since_ms=int(told["since_ms"]),
            until_ms=int(told["until_ms"]),
            waiting=sum(stages.get(stage, 0) for stages in meant for stage in UNPAID),
        )


def _usage(found: Mapping[str, Any]) -> UsageRead | None:
    if not found.get("usage"):
        return None
    summary = usage_of(json.loads(found["usage"], parse_float=Decimal))
    return UsageRead(summary=summary, read_ms=int(found["usage_ms"]))
