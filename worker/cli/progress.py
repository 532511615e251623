"""What a run shows while it goes on: a live picture on a terminal, else a line whenever something has changed.

`Picture` and the functions that render it are pure; only `Live` and `Lines` print.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, Self

from worker.cli.doors import jsonable
from worker.cli.terminal import complain, duration, say
from worker.core.photo import HELD, Stage
from worker.ledger.snapshot import Snapshot

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from worker.cli.tracker import Tracker

#: The rate is measured over so many seconds at most.
_RATE_OVER_S: Final = 60.0
#: Plain lines come at most this often, in seconds.
LINE_EVERY_S: Final = 2.0
_FAILURES_SHOWN: Final = 3

#: How progress is shown.
Kind = Literal["live", "plain", "json"]

#: Stages on the way, with the words for people.
WORDS: Final[dict[Stage, str]] = {
    Stage.ACCEPTED: "waiting",
    Stage.INGESTING: "ingesting",
    Stage.INGESTED: "ready",
    Stage.CREATING: "creating",
    Stage.GENERATING: "generating",
    Stage.STORING: "storing",
    Stage.ANNOUNCING: "announcing",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One moment of a run."""

    elapsed_s: float
    total: int
    staged: int
    failed: int
    held: int
    #: Photos of this run that ended a minute, lately; None as long as none has.
    rate_per_min: float | None
    eta_s: float | None
    snapshot: Snapshot | None
    failures: tuple[str, ...] = ()


class Meter:
    """Measures the rate at which the photos of a run end."""

    def __init__(self) -> None:
        """Begin with no samples."""
        self._samples: deque[tuple[float, int]] = deque()

    def picture(self, tracker: Tracker, snapshot: Snapshot | None, elapsed_s: float) -> Picture:
        """Return the picture of this moment; `elapsed_s` grows from call to call."""
        ended = tracker.total - tracker.open - tracker.count(Stage.DONE, Stage.FAILED, before=True)
        self._samples.append((elapsed_s, ended))
        while elapsed_s - self._samples[0][0] > _RATE_OVER_S:
            self._samples.popleft()
        past_s, past = self._samples[0]
        rate = (ended - past) * 60 / (elapsed_s - past_s) if ended > past and elapsed_s > past_s else None
        failed = [
            f"{name}: {outcome.message or outcome.code or outcome.stage}"
            for name, outcome in tracker.outcomes.items()
            if outcome.stage in HELD | {Stage.FAILED}
        ]
        return Picture(
            elapsed_s=elapsed_s,
            total=tracker.total,
            staged=tracker.count(Stage.DONE),
            failed=tracker.count(Stage.FAILED, Stage.CANCELLED),
            held=tracker.count(*HELD),
            rate_per_min=rate,
            eta_s=tracker.open * 60 / rate if rate and tracker.open else None,
            snapshot=snapshot,
            failures=tuple(failed[-_FAILURES_SHOWN:]),
        )


def plain_line(picture: Picture) -> str:
    """Return a picture as one line without colours; the time is its first word."""
    return f"{duration(picture.elapsed_s):>5}  {' | '.join([*_news(picture), *_forecast(picture)])}"


def _news(picture: Picture) -> list[str]:
    """Return what a new line is worth printing for."""
    parts = [f"staged {picture.staged}/{picture.total}"]
    if picture.failed:
        parts.append(f"failed {picture.failed}")
    if picture.held:
        parts.append(f"held {picture.held}")
    if picture.snapshot is not None:
        stages = [f"{word} {n}" for stage, word in WORDS.items() if (n := picture.snapshot.stages.get(stage, 0))]
        parts += [" ".join(stages)] if stages else []
        parts.append(f"slots {picture.snapshot.slots_used}/{picture.snapshot.slots_cap}")
        parts += notices(picture.snapshot)
    return parts


def notices(snapshot: Snapshot) -> list[str]:
    """Return why nothing may go on just now."""
    paused = snapshot.paused_reason or snapshot.partly_paused
    found = [f"PAUSED: {reason}" for reason in (paused, *snapshot.pauses) if reason]
    if snapshot.hold_ms:
        found.append("budgets count as spent at first: Redis has just started")
    return found


def _forecast(picture: Picture) -> list[str]:
    """Return what changes with the mere passing of time."""
    parts = []
    if picture.rate_per_min is not None:
        parts.append(f"{picture.rate_per_min:.0f} photos/min")
    if picture.eta_s is not None:
        parts.append(f"about {duration(picture.eta_s)} left")
    return parts


def live_view(picture: Picture, width: int) -> RenderableType:
    """Return a picture as a terminal of so many columns shows it; no row takes two lines."""
    from rich.console import Group  # noqa: PLC0415 - only where there is a terminal
    from rich.progress_bar import ProgressBar  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from worker.cli.panels import bar_row, budget_panel, one_line, slots_row, stage_rows  # noqa: PLC0415

    ended = picture.staged + picture.failed + picture.held
    numbers = f"{ended}/{picture.total} photos"
    rate = f"{picture.rate_per_min:.0f} photos/min" if picture.rate_per_min is not None else ""
    left = f"about {duration(picture.eta_s)} left" if picture.eta_s is not None else ""
    bar = ProgressBar(total=max(1, picture.total), completed=ended)
    parts: list[RenderableType] = [bar_row(bar, numbers, rate, left)]
    tally = Text(f"{duration(picture.elapsed_s)}  ")
    tally.append(f"staged {picture.staged}", "green")
    tally.append(f"  failed {picture.failed}", "red" if picture.failed else "dim")
    if picture.held:
        tally.append(f"  held {picture.held}", "yellow")
    parts.append(tally)
    if picture.snapshot is not None:
        parts += [*stage_rows(picture.snapshot, width, tuple(WORDS)), slots_row(picture.snapshot)]
        budgets = budget_panel(picture.snapshot)
        parts += [budgets.cut(len(budgets.rows), width)] if budgets.rows else []
        parts += [one_line(line, "yellow") for line in notices(picture.snapshot)]
    parts += [one_line(line, "red") for line in picture.failures]
    return Group(*parts)


class Display(Protocol):
    """Shows pictures; a context manager."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(self, *trouble: object) -> None:
        """Leave the terminal as it was."""

    def show(self, picture: Picture, *, last: bool = False) -> None:
        """Show a picture; the last one always."""

    def tell(self, text: str) -> None:
        """Print a line beside the picture."""


class Lines:
    """Prints a line when something has changed, at most every two seconds."""

    def __init__(self, write: Callable[[str], None] = say) -> None:
        """`write` takes one line."""
        self._write = write
        self._shown_s = float("-inf")
        self._shown: list[str] = []

    def __enter__(self) -> Self:
        """Nothing to begin."""
        return self

    def __exit__(self, *trouble: object) -> None:
        """Nothing to undo."""

    def show(self, picture: Picture, *, last: bool = False) -> None:
        """Print the picture if it is news."""
        news = _news(picture)
        if news == self._shown or (picture.elapsed_s - self._shown_s < LINE_EVERY_S and not last):
            return
        self._shown, self._shown_s = news, picture.elapsed_s
        self._print(picture)

    def _print(self, picture: Picture) -> None:
        self._write(plain_line(picture))

    def tell(self, text: str) -> None:
        """Print a line."""
        self._write(text)


class JsonLines(Lines):
    """Prints a JSON object when something has changed; lines for people go to standard error."""

    def _print(self, picture: Picture) -> None:
        say(json.dumps({"kind": "progress", **picture_json(picture)}))

    def tell(self, text: str) -> None:
        """Print a line beside the objects."""
        complain(text)


def picture_json(picture: Picture) -> dict[str, Any]:
    """Return a picture as plain JSON data."""
    found = jsonable(replace(picture, snapshot=None))
    assert isinstance(found, dict)
    stages = picture.snapshot.stages if picture.snapshot is not None else {}
    slots = {} if picture.snapshot is None else {"used": picture.snapshot.slots_used, "cap": picture.snapshot.slots_cap}
    notes = notices(picture.snapshot) if picture.snapshot is not None else []
    del found["snapshot"]
    return {**found, "stages": jsonable(stages), "slots": slots, "notices": notes}


class Live:
    """Redraws a picture in place."""

    def __init__(self, console: Console) -> None:
        """`console` is a terminal's."""
        from rich.live import Live as RichLive  # noqa: PLC0415 - only where there is a terminal

        self._live: Any = RichLive(console=console, refresh_per_second=4)

    def __enter__(self) -> Self:
        """Take the lower part of the terminal."""
        self._live.__enter__()
        return self

    def __exit__(self, *trouble: object) -> None:
        """Give it back; the last picture stays."""
        self._live.__exit__(None, None, None)

    def show(self, picture: Picture, *, last: bool = False) -> None:  # noqa: ARG002 - each is drawn alike
        """Draw the picture."""
        self._live.update(live_view(picture, self._live.console.width))

    def tell(self, text: str) -> None:
        """Print a line above the picture."""
        self._live.console.print(text, markup=False)


def display(kind: Kind, console: Console) -> Display:
    """Return the display of a kind."""
    return Live(console) if kind == "live" else JsonLines() if kind == "json" else Lines()
