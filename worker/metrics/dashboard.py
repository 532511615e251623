"""Writes `deploy/grafana/stagecrew.json`, a dashboard for Grafana: `python -m worker.metrics.dashboard`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

DASHBOARD: Final = Path(__file__).parents[2] / "deploy" / "grafana" / "stagecrew.json"
#: Grafana's grid is so wide; a panel takes this much of it, and is so high.
_GRID: Final = 24
_HEIGHT: Final = 8
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_DONE: Final = ',stage="done"'
_FAILED: Final = ',stage="failed"'
_OPEN: Final = ',stage!~"done|failed|cancelled"'
_MOVING: Final = ',stage!~"done|failed|cancelled|parked|uncertain"'
_A: Final = '{account=~"$account"}'


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: its queries with their legends, and the unit as Grafana calls it."""

    title: str
    unit: str
    said: str
    queries: tuple[tuple[str, str], ...]
    width: int = 8
    stacked: bool = False
    kind: str = "timeseries"


def _of(metric: str, *by: str, where: str = "") -> str:
    """Return the query of a gauge that every gateway shows."""
    # Several gateways show the same figures; `max` makes one of them.
    return f'max by (account{"".join(f", {name}" for name in by)}) (stagecrew_{metric}{{account=~"$account"{where}}})'


def _rate(metric: str, *by: str, where: str = "") -> str:
    """Return the query of what a minute brings, of a counter that every gateway shows."""
    labels = f'account=~"$account"{where}'
    names = "".join(f", {name}" for name in by)
    return f"60 * max by (account{names}) (rate(stagecrew_{metric}_total{{{labels}}}[$__rate_interval]))"


def _sum(metric: str, by: str, where: str = "") -> str:
    """Return the query of what a second brings, of a counter that each worker has for itself."""
    return f'sum by ({by}) (rate(stagecrew_{metric}{{account=~"$account"{where}}}[$__rate_interval]))'


def _quantile(share: float, metric: str, by: str, where: str = "") -> str:
    return f"histogram_quantile({share}, {_sum(f'{metric}_bucket', f'le, {by}', where)})"


_CALLS: Final = 'increase(stagecrew_grants_total{account=~"$account",route'
_READS_PER_JOB: Final = (
    f'sum by (account) (max by (account, route) ({_CALLS}="generation_reads"}}[15m])))'
    f' / sum by (account) (max by (account, route) ({_CALLS}=~"generations|regenerate"}}[15m])))'
)
_STAGED: Final = (
    '60 * sum by (partner) (max by (account, partner) (deriv(stagecrew_photos{account=~"$account",stage="done"}[10m])))'
)
_LAG: Final = (
    "histogram_quantile(0.99, sum by (le, instance) (rate(stagecrew_loop_lag_seconds_bucket[$__rate_interval])))"
)

ROWS: Final[tuple[tuple[str, tuple[Panel, ...]], ...]] = (
    ("At a glance", (
        Panel("Staged", "short", "Photos that are done.",
              ((f'sum({_of("photos", "partner", where=_DONE)}) or vector(0)', ""),), 4, kind="stat"),
        Panel("On their way", "short", "Photos that are neither over nor held.",
              ((f'sum({_of("photos", "partner", "stage", where=_MOVING)}) or vector(0)', ""),),
              4, kind="stat"),
        Panel("Dead letters", "short", "Photos that failed.",
              ((f'sum({_of("photos", "partner", where=_FAILED)}) or vector(0)', ""),), 4, kind="stat"),
        Panel("Slots used", "percentunit", "Full while photos wait is as it should be.",
              ((f'sum({_of("slots_used")}) / sum({_of("slots")})', ""),), 4, kind="stat"),
        Panel("Jobs bought today", "short", "Since midnight, UTC.", ((f'sum({_of("jobs_bought_today")})', ""),), 4,
              kind="stat"),
        Panel("Workers, leading", "short", "One leads for each account.",
              ((f'max({_of("workers")})', "live"), (f'sum({_of("leaders")})', "leading")), 4, kind="stat"),
    )),
    ("Photos", (
        Panel("Photos by stage", "short", "Without those that have ended.",
              ((f'sum by (stage) ({_of("photos", "partner", "stage", where=_OPEN)})', "{{stage}}"),),
              stacked=True),
        Panel("Staged a minute", "short", "Over ten minutes, by partner.",
              ((_STAGED, "{{partner}}"),), stacked=True),
        Panel("Age of the backlog", "s", "How long ago the oldest photo that waits was accepted.",
              ((f'max by (partner, backlog) ({_of("backlog_oldest_seconds", "partner", "backlog")})',
                "{{partner}} {{backlog}}"),)),
        Panel("Photos by partner", "short", "On their way.",
              ((f'sum by (partner) ({_of("photos", "partner", "stage", where=_OPEN)})',
                "{{partner}}"),), stacked=True),
        Panel("From acceptance to the end", "s", "By quantile.",
              tuple((_quantile(share, "photo_duration_seconds", "stage", _DONE), f"{share}")
                    for share in (0.5, 0.9, 0.99))),
        Panel("Held, the oldest", "s", "Parked and uncertain photos.",
              ((f'max by (stage) ({_of("held_oldest_seconds", "stage")})', "{{stage}}"),)),
    )),
    ("Budgets", (
        Panel("Slots", "short", "Jobs in flight and the cap.",
              ((_of("slots_used"), "used {{account}}"), (_of("slots"), "cap {{account}}"))),
        Panel("Grants and refusals", "short", "Calls a minute, by route.",
              ((_rate("grants", "route"), "{{route}}"), (_rate("refusals", "route"), "{{route}} refused"))),
        Panel("Budget left", "short", "Calls left in the window.", ((_of("budget_left", "route"), "{{route}}"),)),
        Panel("Reads per job", "short", "Calls that were spent on reading a job; below 0.2 with webhooks.",
              ((_READS_PER_JOB, "{{account}}"),)),
        Panel("How long jobs take", "s", "As the fleet has learnt it, by quantile.",
              ((_of("learnt_duration_seconds", "kind", "quantile"), "{{kind}} {{quantile}}"),)),
        Panel("Paused and held", "s", "Routes that the API refused; budgets after a restart of Redis.",
              ((_of("budget_paused_seconds", "route"), "{{route}}"), (_of("budgets_held_seconds"), "held"))),
    )),
    ("Money", (
        Panel("Jobs bought today by partner", "short", "Since midnight, UTC.",
              ((_of("partner_jobs_bought_today", "partner"), "{{partner}}"),), stacked=True),
        Panel("Photos that wait for a cap", "short", "By partner and cap.",
              ((_of("photos_capped", "partner", "cap"), "{{partner}} {{cap}}"),)),
        Panel("Usage summary", "short", "As the API reports it.", ((_of("usage", "number"), "{{number}}"),)),
    )),
    ("Workers", (
        Panel("Hands", "short", "Photos that workers work on, and could.",
              ((f"sum(stagecrew_hands_busy{_A})", "busy"), (f"sum(stagecrew_hands{_A})", "hands"))),
        Panel("Steps", "ops", "Steps a second, by outcome.", ((_sum("steps_total", "outcome"), "{{outcome}}"),),
              stacked=True),
        Panel("Step, 95 %", "s", "How long a step of one photo takes.",
              ((_quantile(0.95, "step_duration_seconds", "step"), "{{step}}"),)),
        Panel("Calls of the API", "reqps", "By route and status.",
              ((_sum("api_requests_total", "route, status"), "{{route}} {{status}}"),)),
        Panel("Call, 95 %", "s", "How long a call takes.",
              ((_quantile(0.95, "api_request_duration_seconds", "route"), "{{route}}"),)),
        Panel("Bytes", "Bps", "Sources uploaded and outputs stored.",
              ((f"sum(rate(stagecrew_source_bytes_total{_A}[$__rate_interval]))", "sources"),
               (f"sum(rate(stagecrew_output_bytes_total{_A}[$__rate_interval]))", "outputs"))),
        Panel("CPU", "percentunit", "Of a core, by worker and gateway.",
              (('rate(process_cpu_seconds_total{job=~"stagecrew.*"}[$__rate_interval])', "{{instance}}"),)),
        Panel("Memory", "bytes", "Resident, by worker and gateway.",
              (('process_resident_memory_bytes{job=~"stagecrew.*"}', "{{instance}}"),)),
        Panel("Loop lag, 99 %", "s", "How late the event loop is.",
              ((_LAG, "{{instance}}"),)),
        Panel("Overdue", "s", "How late the most belated photo of each step is.",
              ((_of("overdue_seconds", "step"), "{{step}}"),)),
        Panel("Photos in a message", "short", "1 when the fleet is idle, more under load.",
              ((f"{_sum('batch_photos_sum', 'step')} / {_sum('batch_photos_count', 'step')}", "{{step}}"),)),
        Panel("Log lines", "short", "Warnings and errors a minute.",
              (("60 * sum by (level) (rate(stagecrew_log_lines_total[$__rate_interval]))", "{{level}}"),)),
    )),
    ("Doors", (
        Panel("Sinks, waiting", "short", "Messages that a sink has not taken yet.",
              ((_of("sink_waiting", "sink"), "{{sink}}"), (_of("sink_dead_letters", "sink"), "{{sink}} given up"))),
        Panel("Sinks, lag", "s", "How long the oldest message has been waiting.",
              ((_of("sink_oldest_seconds", "sink"), "{{sink}}"),)),
        Panel("Webhooks", "short", "A minute, by what became of them.",
              ((_rate("webhooks", "outcome"), "{{outcome}}"),)),
        Panel("Photos that came in", "short", "A minute over the network, by door and what became of them.",
              ((_rate("intake_photos", "door", "outcome"), "{{door}} {{outcome}}"),)),
        Panel("Bad records", "short", "A minute, by door.", ((_rate("intake_bad_records", "door"), "{{door}}"),)),
        Panel("Messages delivered", "short", "A minute, by sink.", ((_rate("sink_delivered", "sink"), "{{sink}}"),)),
    )),
)  # fmt: skip


def render() -> str:
    """Return the dashboard as Grafana imports it."""
    names = [
        {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
        {
            "name": "account",
            "label": "Account",
            "type": "query",
            "datasource": _SOURCE,
            "query": {"query": "label_values(stagecrew_slots, account)", "refId": "account"},
            "refresh": 2,
            "includeAll": True,
            "multi": True,
            "allValue": ".*",
            "current": {"text": "All", "value": "$__all"},
        },
    ]
    dashboard = {
        "uid": "stagecrew",
        "title": "stagecrew",
        "tags": ["stagecrew"],
        "schemaVersion": 39,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": names},
        "panels": list(_panels()),
    }
    return json.dumps(dashboard, indent=1, ensure_ascii=False) + "\n"


def _panels() -> Iterator[dict[str, Any]]:
    number, top = 0, 0
    for title, panels in ROWS:
        number += 1
        yield {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": _place(0, top, _GRID, 1)}
        left, top = 0, top + 1
        height = _HEIGHT if panels[0].kind == "timeseries" else _HEIGHT // 2
        for panel in panels:
            if left + panel.width > _GRID:
                left, top = 0, top + height
            number += 1
            yield _panel(panel, number, _place(left, top, panel.width, height))
            left += panel.width
        top += height


def _place(left: int, top: int, width: int, height: int) -> dict[str, int]:
    return {"x": left, "y": top, "w": width, "h": height}


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    custom = {"stacking": {"mode": "normal"}, "fillOpacity": 30} if panel.stacked else {"fillOpacity": 5}
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0}
    if panel.kind == "timeseries":
        defaults["custom"] = custom
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.said,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {} if panel.kind == "timeseries" else {"reduceOptions": {"calcs": ["lastNotNull"]}},
        "targets": [
            {"refId": chr(ord("A") + at), "datasource": _SOURCE, "expr": query, "legendFormat": legend or "__auto"}
            for at, (query, legend) in enumerate(panel.queries)
        ],
    }


if __name__ == "__main__":
    DASHBOARD.parent.mkdir(parents=True, exist_ok=True)
    DASHBOARD.write_text(render(), encoding="utf-8")
