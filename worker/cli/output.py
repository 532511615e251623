"""What the commands print: tables and lines for people, JSON for programs."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from typing import NoReturn

from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.core.photo import ENDED, HELD, Stage
from worker.intake.record import shorten
from worker.ledger.snapshot import PhotoView, Snapshot

#: Exit codes; the help of `stagecrew` documents them.
TROUBLE = 1
UNUSABLE = 2
INTERRUPTED = 130


def console() -> Console:
    """Return the terminal; NO_COLOR is honoured, and a pipe gets plain text."""
    return Console(highlight=False, no_color=bool(os.environ.get("NO_COLOR")) or None)


def fail(message: str) -> NoReturn:
    """Say on standard error what is wrong and leave."""
    sys.stderr.write(f"stagecrew: {message}\n")
    raise SystemExit(UNUSABLE)


def as_json(value: object) -> str:
    """Return a dataclass, or a list of them, as one line of JSON."""
    return json.dumps(value, default=_plain, ensure_ascii=False)


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return str(value)


def stages_line(snapshot: Snapshot) -> str:
    """Return the photos by stage in the order of their way, on one line."""
    found = [f"{stage} {snapshot.stages[stage]}" for stage in Stage if snapshot.stages.get(stage)]
    return ", ".join(found) or "no photos"


def plain_line(snapshot: Snapshot) -> str:
    """Return the whole picture as one line, for pipes and logs."""
    line = f"{stages_line(snapshot)} | slots {snapshot.slots_used}/{snapshot.slots_cap}"
    used = [f"{budget.route} {budget.used}/{budget.count}" for budget in snapshot.budgets if budget.used]
    refused = sum(budget.refused_total for budget in snapshot.budgets)
    parts = [line, ", ".join(used), f"refused {refused}" if refused else "", notice(snapshot)]
    return " | ".join(part for part in parts if part)


def notice(snapshot: Snapshot) -> str:
    """Return what an operator should know now, or nothing."""
    if snapshot.paused_reason:
        return f"paused: {snapshot.paused_reason}"
    if not snapshot.workers and any(stage not in ENDED | HELD for stage in snapshot.stages):
        return "no worker is alive: start one with `stagecrew worker`"
    if snapshot.hold_ms > 0:
        return f"budgets count as spent for {snapshot.hold_ms / 1000:.1f} s: Redis has (re)started"
    return ""


def picture(snapshot: Snapshot, *, title: str, foot: str = "") -> Table:
    """Return the whole account as a table for the terminal."""
    grid = Table(title=title, title_justify="left", box=None, show_header=False, pad_edge=False)
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column()
    for stage in Stage:
        count = snapshot.stages.get(stage, 0)
        if count:
            style = "red" if stage in {Stage.FAILED, Stage.UNCERTAIN} else "green" if stage is Stage.DONE else ""
            grid.add_row(str(stage), Text(f"{count:>7} {_bar(count, sum(snapshot.stages.values()))}", style=style))
    grid.add_row("slots", f"{snapshot.slots_used:>7} of {snapshot.slots_cap} {_bar(snapshot.slots_used, snapshot.slots_cap)}")
    for budget in snapshot.budgets:
        if budget.granted_total or budget.refused_total:
            paused = f"  paused {budget.paused_ms / 1000:.1f} s" if budget.paused_ms else ""
            refused = f"  refused {budget.refused_total}" if budget.refused_total else ""
            share = _bar(budget.used, budget.count)
            per = f"{budget.window_ms / 1000:g} s"
            grid.add_row(budget.route, f"{budget.used:>7} of {budget.count} in {per} {share}{paused}{refused}")
    workers = ", ".join(f"{worker.name} ({worker.busy} busy)" for worker in snapshot.workers) or "none alive"
    grid.add_row("workers", Text(workers))
    if snapshot.leader:
        grid.add_row("leader", Text(snapshot.leader))
    if text := notice(snapshot):
        grid.add_row("notice", Text(text, style="yellow"))
    if foot:
        grid.add_row("", Text(foot))
    return grid


def _bar(part: int, whole: int, width: int = 24) -> str:
    filled = 0 if whole <= 0 else min(width, round(width * part / whole))
    return "█" * filled + "·" * (width - filled)


def photo_table(photos: list[PhotoView]) -> Table:
    """Return photos with their stage and reason."""
    table = Table("photo", "partner", "stage", "tries", "job", "reason", box=None, pad_edge=False)
    for view in photos:
        reason = f"{view.error_code}: {view.error_message}" if view.error_code else ""
        name = f"{shorten(view.listing_id)}/{shorten(view.photo_id)}"
        cells = (name, view.partner, str(view.stage), str(view.attempt), view.job_id or "", reason)
        table.add_row(*(Text(cell) for cell in cells))
    return table
