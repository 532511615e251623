"""What a run shows while it goes on: a live picture on a terminal, else a line whenever something has changed.

`Picture` and the functions that render it are pure; only `Live` and `Lines` print.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from worker.cli.tables import budget_table, one_line
from worker.cli.terminal import duration, say
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


def live_view(picture: Picture) -> RenderableType:
    """Return a picture as the terminal shows it."""
    from rich.console import Group  # noqa: PLC0415 - only where there is a terminal
    from rich.progress_bar import ProgressBar  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    ended = picture.staged + picture.failed + picture.held
    head = Table.grid(padding=(0, 2))
    numbers = f"{ended}/{picture.total} photos"
    rate = f"{picture.rate_per_min:.0f} photos/min" if picture.rate_per_min is not None else ""
    left = f"about {duration(picture.eta_s)} left" if picture.eta_s is not None else ""
    head.add_row(ProgressBar(total=max(1, picture.total), completed=ended, width=32), numbers, rate, left)
    parts: list[RenderableType] = [head]
    tally = Text(f"{duration(picture.elapsed_s)}  ")
    tally.append(f"staged {picture.staged}", "green")
    tally.append(f"  failed {picture.failed}", "red" if picture.failed else "dim")
    if picture.held:
        tally.append(f"  held {picture.held}", "yellow")
    parts.append(tally)
    if picture.snapshot is not None:
        parts += [Text(one_line(picture.snapshot, WORDS)), budget_table(picture.snapshot, only_used=True)]
        parts += [Text(line, "yellow") for line in notices(picture.snapshot)]
    parts += [Text(line, "red", no_wrap=True, overflow="ellipsis") for line in picture.failures]
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
        self._write(plain_line(picture))

    def tell(self, text: str) -> None:
        """Print a line."""
        self._write(text)


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
        self._live.update(live_view(picture))

    def tell(self, text: str) -> None:
        """Print a line above the picture."""
        self._live.console.print(text, markup=False)
