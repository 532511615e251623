"""Tables of what the ledger shows: stages, budgets, partners, workers, photos."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from config.accounts import DEFAULT
from worker.cli.terminal import count, duration, harmless
from worker.core.events import clock_text
from worker.core.photo import Stage
from worker.flow.outlook import Prospect
from worker.ledger.snapshot import PhotoView, SinkView, Snapshot

#: Routes as people call them.
ROUTES: Final[Mapping[str, str]] = {
    "source_assets": "sources taken in",
    "generations": "jobs created",
    "regenerate": "jobs regenerated",
    "generation_reads": "jobs read",
    "ingest_reads": "ingests read",
    "source_fetches": "sources fetched by the API",
    "usage": "usage read",
    "billing": "billing read",
}


def budget_table(snapshot: Snapshot) -> Table:
    """Return the budgets: grants in the window now, the pause if there is one, and totals."""
    table = _table("budget", ">used", ">of", ">window", ">granted", ">refused", "paused")
    for budget in snapshot.budgets:
        _row(
            table,
            ROUTES.get(budget.route, budget.route),
            f"{budget.used:,}",
            f"{budget.count:,}",
            f"{budget.window_ms / 1000:g} s",
            f"{budget.granted_total:,}",
            f"{budget.refused_total:,}" if budget.refused_total else "",
            f"{budget.paused_ms / 1000:.1f} s" if budget.paused_ms else "",
        )
    return table


def stage_table(snapshot: Snapshot) -> Table:
    """Return how many photos are in which stage."""
    table = _table("stage", ">photos")
    for stage in Stage:
        if photos := snapshot.stages.get(stage, 0):
            _row(table, str(stage), f"{photos:,}")
    if not table.row_count:
        _row(table, "(no photos)", "0")
    return table


def partner_table(snapshot: Snapshot, *, limit: int = 20) -> Table:
    """Return the partners with the most photos on their way, and how they stand."""
    table = _table("partner", ">waiting", ">at work", ">done", ">failed", ">held")
    by_size = sorted(snapshot.partners.items(), key=lambda item: -sum(item[1].values()))
    for partner, stages in by_size[:limit]:
        _row(table, partner, *(f"{_sum(stages, group):,}" for group in _GROUPS))
    if len(by_size) > limit:
        _row(table, f"({len(by_size) - limit} more)")
    return table


def outlook_table(prospect: Prospect, *, held: frozenset[str] = frozenset(), limit: int = 20) -> Table:
    """Return what each partner that waits may expect, those that are done last first; `held`: have no turns now."""
    table = _table("partner", ">waiting", ">share now", ">done in")
    waiting = prospect.photos_of({some.partner for some in prospect.waiting})
    outlooks = sorted(prospect.without(held).partners().items(), key=lambda item: -item[1].done_ms)
    rows = [(partner, "0%", "paused or capped") for partner in sorted(held & waiting.keys())]
    rows += [(partner, f"{one.share:.0%}", duration(one.done_ms / 1000)) for partner, one in outlooks]
    for partner, share, done in rows[:limit]:
        _row(table, partner, f"{waiting[partner]:,}", share, done)
    if len(rows) > limit:
        _row(table, f"({len(rows) - limit} more)")
    return table


def account_table(snapshots: Iterable[Snapshot]) -> Table:
    """Return one account a row."""
    table = _table("account", ">waiting", ">at work", ">done", ">failed", ">held", ">slots", ">workers", "")
    for one in snapshots:
        counts = (f"{_sum(one.stages, group):,}" for group in _GROUPS)
        slots, state = f"{one.slots_used}/{one.slots_cap}", "PAUSED" if one.halted else ""
        _row(table, one.account, *counts, slots, str(len(one.workers)), state)
    return table


def worker_table(snapshot: Snapshot) -> Table:
    """Return the live workers."""
    table = _table("worker", ">busy", ">hands", "release", ">seen", "")
    for worker in snapshot.workers:
        seen, leads = f"{worker.seen_ms_ago / 1000:.1f} s ago", "leads" if worker.name == snapshot.leader else ""
        _row(table, worker.name, str(worker.busy), str(worker.hands), worker.version, seen, leads)
    return table


def sink_table(snapshot: Snapshot) -> Table:
    """Return the sinks that have an outbox: what waits for each, and how it is doing."""
    table = _table("sink", ">waiting", ">oldest", ">delivered", ">dead letters", "state")
    for sink in snapshot.sinks:
        if not (sink.configured or sink.waiting or sink.dead):
            continue
        _row(
            table,
            sink.name,
            f"{sink.waiting:,}",
            duration(sink.oldest_ms / 1000) if sink.waiting else "",
            f"{sink.delivered_total:,}",
            f"{sink.dead:,}" if sink.dead else "",
            _sink_state(sink),
        )
    return table


def _sink_state(sink: SinkView) -> str:
    if not sink.configured:
        return "not in STAGECREW_COMPLETIONS_URL"
    if sink.times_down:
        again = f"; tried again in {duration(sink.paused_ms / 1000)}" if sink.paused_ms else ""
        return f"DOWN: {sink.reason}{again}"
    if sink.failing:
        return f"{count(sink.failing, 'listing')} waiting to be tried again: {sink.reason}"
    return f"delivered by {sink.pump}" if sink.pump else "no worker delivers"


def photo_table(views: Iterable[PhotoView]) -> Table:
    """Return photos with where they are and why; their accounts only where they say something."""
    views = list(views)
    named = any(view.account != DEFAULT for view in views)
    table = _table(
        *["account"] * named, "listing", "photo", "stage", "since (UTC)", ">attempt", ">revision", "job", "reason"
    )
    for view in views:
        fate = f"cancelled: its result is to be {_FATES[view.cancel]}" if view.cancel in _FATES else None
        reason = ": ".join(part for part in (fate, view.error_code, view.error_message) if part)
        since = clock_text(view.stage_since_ms)
        _row(
            table,
            *[view.account] * named,
            view.listing_id,
            view.photo_id,
            str(view.stage),
            since,
            str(view.attempt),
            f"{view.revision}{f' r{view.regeneration}' if view.regeneration else ''}",
            view.job_id or "",
            reason,
        )
    return table


def letter_table(letters: Iterable[Mapping[str, Any]]) -> Table:
    """Return dead letters with what they were about and why they are dead."""
    table = _table("since (UTC)", "about", "message", "id", ">tries", "reason")
    for letter in letters:
        since = clock_text(int(letter["dead_ms"]))
        _row(table, since, *(str(letter[name]) for name in ("subject", "type", "id", "tries", "reason")))
    return table


#: What becomes of the result of a photo that was cancelled too late.
_FATES: Final = {"keep": "kept", "drop": "dropped"}
_GROUPS: Final = (
    (Stage.ACCEPTED, Stage.INGESTED),
    (Stage.INGESTING, Stage.CREATING, Stage.GENERATING, Stage.STORING, Stage.ANNOUNCING),
    (Stage.DONE,),
    (Stage.FAILED, Stage.CANCELLED),
    (Stage.PARKED, Stage.UNCERTAIN),
)


def _sum(stages: Mapping[Stage, int], group: tuple[Stage, ...]) -> int:
    return sum(stages.get(stage, 0) for stage in group)


def _row(table: Table, *cells: str) -> None:
    table.add_row(*(Text(harmless(cell)) for cell in cells))


def _table(*columns: str, **options: Any) -> Table:
    """Return a bare table; a column whose name begins with `>` is set to the right. Cells are text, never markup."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", **options)
    for column in columns:
        table.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left", overflow="fold")
    return table


def facts_table(facts: Iterable[tuple[str, str]]) -> Table:
    """Return names with their values."""
    table = _table("", "", show_header=False)
    for name, value in facts:
        _row(table, name, value)
    return table


#: For tables that are made elsewhere.
bare_table, row = _table, _row
