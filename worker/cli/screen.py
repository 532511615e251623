"""The screen of `stagecrew watch`: one account whole, or several with a line each. Pure; it is never too high."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from rich.console import Group

from worker.cli.panels import Panel, budget_panel, one_line, shares, slots_row, stage_rows
from worker.cli.status import notes
from worker.cli.terminal import count, duration
from worker.core.photo import ENDED, Stage
from worker.ledger.snapshot import PhotoView, Snapshot

if TYPE_CHECKING:
    from rich.console import RenderableType

    from worker.flow.outlook import Prospect

_FOOT: Final = "Ctrl-C ends this screen; the workers go on"
#: Lines about what stands still, at most: the rest of the screen must stay.
_MOST_NOTES: Final = 4
_WAITING: Final = (Stage.ACCEPTED, Stage.INGESTED)
_AT_WORK: Final = (Stage.INGESTING, Stage.CREATING, Stage.GENERATING, Stage.STORING, Stage.ANNOUNCING)
_HELD: Final = (Stage.PARKED, Stage.UNCERTAIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One account at one moment."""

    snapshot: Snapshot
    prospect: Prospect
    #: Photos that ended a minute, lately; None as long as that can't be said.
    rate_per_min: float | None
    #: Photos that failed or are uncertain, the latest first.
    failures: tuple[PhotoView, ...]

    @property
    def ended(self) -> int:
        """Photos that have ended and are still known."""
        return sum(self.snapshot.stages.get(stage, 0) for stage in ENDED)

    @property
    def moving(self) -> Prospect:
        """What those may expect that have turns now: to those that are paused or at a cap no time is promised."""
        return self.prospect.without(self.snapshot.without_turns(some.partner for some in self.prospect.waiting))

    @property
    def eta_s(self) -> float | None:
        """When the last photo that may go on will be done, in seconds; None: none may, or nothing is to do."""
        if (moving := self.moving).waiting:
            return max(outlook.done_ms for outlook in moving.partners().values()) / 1000
        return self.prospect.rates.job_ms / 1000 if _sum(self.snapshot, *_AT_WORK) else None


def screen(moments: Sequence[Moment], *, width: int, height: int, trouble: str | None = None) -> RenderableType:
    """Return the screen, of at most `height` lines, for `width` columns; `trouble` says why the moments are old."""
    if len(moments) == 1:
        head, panels = _head(moments[0], width), _panels(moments[0])
    else:
        head, panels = _heads(moments), [_accounts(moments), _failures(moments)]
    if trouble is not None:
        head.insert(1, one_line(trouble, "bold red"))
    left = height - len(head) - 1
    rows = shares(panels, left)
    shown = [panel.cut(some, width) for panel, some in zip(panels, rows, strict=True) if some]
    spare = left - sum(rows) - len(shown)
    parts: list[RenderableType] = [*head]
    for panel in shown:
        # Air between the panels, where there is room for all of it.
        parts += ["", panel] if spare >= len(shown) + 1 else [panel]
    return Group(*parts[: height - 1], *["" for _ in range(spare >= len(shown) + 1)], one_line(_FOOT, "dim"))


def _head(moment: Moment, width: int) -> list[RenderableType]:
    snapshot = moment.snapshot
    workers = count(len(snapshot.workers), "worker")
    leads = f", {snapshot.leader} leads" if snapshot.leader else ""
    title = f"stagecrew  account {snapshot.account}  {clock(snapshot)}  {workers}{leads}"
    told = [one_line(line, "yellow") for line in [*notes(snapshot), *_sinks(snapshot)]]
    if len(told) > _MOST_NOTES:
        more = len(told) - _MOST_NOTES + 1
        told = [*told[: _MOST_NOTES - 1], one_line(f"and {more} more: `stagecrew status`", "yellow")]
    speed = f"{moment.rate_per_min:.1f} photos/min" if moment.rate_per_min is not None else "measuring the rate"
    eta_s = moment.eta_s
    left = f"about {duration(eta_s)} left" if eta_s is not None else "nothing is to do"
    to_do = eta_s is not None or bool(moment.prospect.waiting)
    if to_do and (eta_s is None or snapshot.halted or not snapshot.workers):
        left = "stands still"
    slots = slots_row(snapshot)
    pace = one_line(f"{speed}   {left}", "bold")
    return [one_line(title, "bold"), *told, *stage_rows(snapshot, width), slots, pace]


def clock(snapshot: Snapshot) -> str:
    """Return the moment of a snapshot, by Redis's clock."""
    return datetime.fromtimestamp(snapshot.now_ms / 1000, UTC).strftime("%H:%M:%S UTC")


def _sinks(snapshot: Snapshot) -> list[str]:
    lines = [
        f"sink {sink.name} is DOWN: {sink.reason}" for sink in snapshot.sinks if sink.configured and sink.times_down
    ]
    dead = sum(sink.dead for sink in snapshot.sinks)
    return [*lines, f"{count(dead, 'message')} given up: `stagecrew failed --sink`"] if dead else lines


def _panels(moment: Moment) -> list[Panel]:
    return [budget_panel(moment.snapshot), _partners(moment), _failures([moment])]


def _partners(moment: Moment) -> Panel:
    snapshot, outlooks = moment.snapshot, moment.moving.partners()
    held = {some.partner for some in moment.prospect.waiting} - outlooks.keys()
    by_size = sorted(snapshot.partners, key=lambda name: (-_open(snapshot, name), name))
    rows = []
    for name in by_size:
        stages, outlook = snapshot.partners[name], outlooks.get(name)
        numbers = [sum(stages.get(stage, 0) for stage in group) for group in (_WAITING, _AT_WORK, (Stage.DONE,))]
        bad = [sum(stages.get(stage, 0) for stage in group) for group in ((Stage.FAILED, Stage.CANCELLED), _HELD)]
        future = ("0%", "waits") if name in held else ("", "")
        if outlook is not None:
            future = (f"{outlook.share:.0%}", duration(outlook.done_ms / 1000))
        rows.append((name, *(f"{number:,}" for number in [*numbers, *bad]), *future))
    columns = ("partner", ">waiting", ">at work", ">done", ">failed", ">held", ">share", ">done in")
    return Panel(columns=columns, rows=tuple(rows), optional=(">failed", ">held", ">share", ">at work"))


def _open(snapshot: Snapshot, partner: str) -> int:
    return sum(photos for stage, photos in snapshot.partners[partner].items() if stage not in ENDED)


def _failures(moments: Sequence[Moment]) -> Panel:
    views = sorted((view for moment in moments for view in moment.failures), key=lambda view: -view.stage_since_ms)
    several = len(moments) > 1
    rows = [
        (
            datetime.fromtimestamp(view.stage_since_ms / 1000, UTC).strftime("%m-%d %H:%M"),
            f"{view.account}: " * several + f"{view.listing_id}/{view.photo_id}",
            ": ".join(part for part in (view.error_code, view.error_message) if part) or str(view.stage),
        )
        for view in views
    ]
    return Panel(columns=("failed", "photo", "reason"), rows=tuple(rows), style="red")


def _heads(moments: Sequence[Moment]) -> list[RenderableType]:
    title = f"stagecrew  {count(len(moments), 'account')}  {clock(moments[0].snapshot)}"
    told = [f"{one.snapshot.account}: {line}" for one in moments for line in notes(one.snapshot)]
    return [one_line(title, "bold"), *(one_line(line, "yellow") for line in told[:_MOST_NOTES])]


def _accounts(moments: Sequence[Moment]) -> Panel:
    rows = []
    for one in moments:
        snapshot = one.snapshot
        groups = (_WAITING, _AT_WORK, (Stage.DONE,), (Stage.FAILED, Stage.CANCELLED), _HELD)
        numbers = (f"{_sum(snapshot, *group):,}" for group in groups)
        slots = f"{snapshot.slots_used}/{snapshot.slots_cap}"
        rate = f"{one.rate_per_min:.1f}" if one.rate_per_min is not None else ""
        left = "PAUSED" if snapshot.halted else duration(one.eta_s) if one.eta_s is not None else ""
        rows.append((snapshot.account, *numbers, slots, rate, left))
    columns = ("account", ">waiting", ">at work", ">done", ">failed", ">held", ">slots", ">per min", ">left")
    return Panel(columns=columns, rows=tuple(rows), optional=(">failed", ">held", ">done", ">at work"))


def _sum(snapshot: Snapshot, *stages: Stage) -> int:
    return sum(snapshot.stages.get(stage, 0) for stage in stages)
