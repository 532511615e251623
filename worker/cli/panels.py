"""Parts of a screen. Every row is one line whatever the width, so that a screen can count the lines that it has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from worker.cli.tables import ROUTES
from worker.cli.terminal import harmless
from worker.core.photo import Stage

if TYPE_CHECKING:
    from worker.ledger.snapshot import Snapshot

#: Names of stages for people; the others are called by their own.
WORDS: Final[Mapping[Stage, str]] = {Stage.ACCEPTED: "waiting", Stage.INGESTED: "ready"}
#: Stages that are worth a colour once there are photos in them.
_COLOURS: Final[Mapping[Stage, str]] = {
    Stage.DONE: "green",
    Stage.FAILED: "red",
    Stage.UNCERTAIN: "red",
    Stage.PARKED: "yellow",
}
#: So many columns of the terminal hold a stage and its photos; and so many stages are in a row at most.
_STAGE: Final = 19
_STAGES_A_ROW: Final = 4
#: So many columns of a name make it readable.
_NAME: Final = 22
#: The widest bar, in columns.
_BAR: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A table that may be cut to any number of rows: a line for its head and one for each row."""

    #: A column whose name begins with `>` is set to the right.
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    style: str = ""
    #: Columns that are left out when the screen is too narrow for all, the first first.
    optional: tuple[str, ...] = ()

    def cut(self, rows: int, width: int) -> Table:
        """Return the first rows; the head of the first column says how many there are in all."""
        narrow = _fitting(self, width)
        name, *others = narrow.columns
        if rows < len(self.rows):
            name = f"{name} ({rows} of {len(self.rows)})"
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column(one_line(name), overflow="ellipsis")
        for column in others:
            heading = one_line(column.lstrip(">"))
            table.add_column(heading, justify="right" if column.startswith(">") else "left", overflow="ellipsis")
        for row in narrow.rows[:rows]:
            table.add_row(*(one_line(cell, self.style) for cell in row))
        return table


def _fitting(panel: Panel, width: int) -> Panel:
    """Return the panel without those optional columns for which there is no room beside a readable name."""
    columns = list(zip(panel.columns, *panel.rows, strict=True))
    first, *others = (max(len(cell.lstrip(">")) for cell in column) for column in columns)
    needed = min(first, _NAME) + sum(other + 2 for other in others)
    if not panel.optional or needed <= width:
        return panel
    at = panel.columns.index(panel.optional[0])
    left = [column for number, column in enumerate(columns) if number != at]
    names, *rows = zip(*left, strict=True)
    return _fitting(replace(panel, columns=names, rows=tuple(rows), optional=panel.optional[1:]), width)


def one_line(text: str, style: str = "") -> Text:
    """Return text of anybody's that stays on its line, cut where the line ends."""
    return Text(harmless(text), style, no_wrap=True, overflow="ellipsis")


def stage_rows(snapshot: Snapshot, width: int, stages: Sequence[Stage] = tuple(Stage)) -> list[Table]:
    """Return how many photos are in which stage, always in the same places."""
    many = max(1, min(_STAGES_A_ROW, width // _STAGE))
    return [_stage_row(snapshot, stages[at : at + many], many) for at in range(0, len(stages), many)]


def _stage_row(snapshot: Snapshot, stages: Sequence[Stage], columns: int) -> Table:
    row = Table.grid(padding=(0, 2, 0, 0), expand=True)
    for _ in range(columns):
        row.add_column(ratio=1)
    cells = []
    for stage in stages:
        photos = snapshot.stages.get(stage, 0)
        cell = one_line(f"{WORDS.get(stage, stage)} ")
        cell.append(f"{photos:,}", f"bold {_COLOURS.get(stage, '')}" if photos else "dim")
        cells.append(cell)
    row.add_row(*cells)
    return row


def slots_row(snapshot: Snapshot) -> Table:
    """Return the slots as a bar and as numbers."""
    bar = ProgressBar(total=max(1, snapshot.slots_cap), completed=min(snapshot.slots_used, snapshot.slots_cap))
    return bar_row(bar, f"slots {snapshot.slots_used}/{snapshot.slots_cap}", f"{snapshot.leases} at work")


def bar_row(bar: ProgressBar, *texts: str) -> Table:
    """Return a bar with words beside it."""
    row = Table.grid(padding=(0, 2, 0, 0))
    bar.width = _BAR
    row.add_row(bar, *(one_line(text) for text in texts if text))
    return row


def budget_panel(snapshot: Snapshot, *, only_used: bool = True) -> Panel:
    """Return the budgets: grants in the window now, refusals by the API, and the pause if there is one."""
    rows = [
        (
            ROUTES.get(budget.route, budget.route),
            f"{budget.used:,}/{budget.count:,}",
            f"{budget.window_ms / 1000:g} s",
            f"{budget.granted_total:,}",
            f"{budget.refused_total:,}" if budget.refused_total else "",
            f"{budget.paused_ms / 1000:.1f} s" if budget.paused_ms else "",
        )
        for budget in snapshot.budgets
        if not only_used or budget.granted_total or budget.paused_ms
    ]
    columns = ("budget", ">used", ">window", ">granted", ">refused", ">paused")
    return Panel(columns=columns, rows=tuple(rows), optional=(">window", ">granted", ">refused"))


def shares(panels: Iterable[Panel], lines: int) -> list[int]:
    """Return how many rows each panel gets when all have `lines` together, heads included.

    They take turns, so that a long one leaves room for the others; one that gets none has no head either.
    """
    wanted = [len(panel.rows) for panel in panels]
    given = [0] * len(wanted)
    while True:
        hungry = [n for n, rows in enumerate(wanted) if given[n] < rows]
        if not hungry:
            return given
        for n in hungry:
            cost = 1 if given[n] else 2
            if cost > lines:
                return given
            given[n] += 1
            lines -= cost
