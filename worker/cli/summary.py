"""What a run says at its end; pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from worker.cli import exits
from worker.cli.following import Ending
from worker.cli.terminal import count, duration, harmless
from worker.core.photo import HELD, Stage

if TYPE_CHECKING:
    from worker.cli.tracker import Tracker

#: Reasons shown; `stagecrew failed` shows the others.
_REASONS: Final = 20


def summary(tracker: Tracker, ending: Ending, *, elapsed_s: float, bad_records: int) -> list[str]:
    """Return the lines: what was staged, what had been before, what failed or is held and why, what is left."""
    before, now = tracker.count(Stage.DONE, before=True), tracker.count(Stage.DONE, before=False)
    lines = []
    if before and not now and not tracker.open:
        lines.append(f"nothing was staged again: {count(before, 'photo')} {_were(before)} already staged")
    else:
        lines.append(f"{count(now, 'photo')} staged in {duration(elapsed_s)}")
        if before:
            lines.append(f"{count(before, 'photo')} {_were(before)} already staged: not staged again")
    for stages, word, remedy in _TROUBLES:
        if found := tracker.count(*stages):
            lines.append(f"{count(found, 'photo')} {word}{remedy}")
            lines += _reasons(tracker, stages)
    if bad_records:
        lines.append(f"{count(bad_records, 'bad record')} left out")
    if ending is Ending.INTERRUPTED:
        still = f"{count(tracker.open, 'photo')} still open"
        lines.append(f"interrupted: {still}; the next run goes on where this one stopped")
    elif ending is Ending.PAUSED:
        lines.append(f"the account is paused: {count(tracker.open, 'photo')} still open; the next run goes on")
    return lines


def summary_json(tracker: Tracker) -> dict[str, int]:
    """Return how the photos of the run ended, for programs."""
    return {
        "total": tracker.total,
        "staged": tracker.count(Stage.DONE, before=False),
        "staged_before": tracker.count(Stage.DONE, before=True),
        "failed": tracker.count(Stage.FAILED),
        "cancelled": tracker.count(Stage.CANCELLED),
        "held": tracker.count(*HELD),
        "open": tracker.open,
    }


def exit_code(tracker: Tracker, ending: Ending, *, bad_records: int) -> int:
    """Return the run's exit code."""
    if ending is Ending.INTERRUPTED:
        return exits.INTERRUPTED
    bad = tracker.count(Stage.FAILED, Stage.CANCELLED, *HELD) or bad_records or tracker.open
    return exits.TROUBLE if bad else exits.OK


_TROUBLES: Final[Sequence[tuple[tuple[Stage, ...], str, str]]] = (
    ((Stage.FAILED,), "failed", "; `stagecrew replay` tries again as a new job:"),
    ((Stage.UNCERTAIN,), "uncertain", ": the job may exist and be billed, a person decides (`stagecrew failed`):"),
    ((Stage.PARKED,), "parked", ": held back until its cause is gone:"),
    ((Stage.CANCELLED,), "cancelled", ":"),
)


def _reasons(tracker: Tracker, stages: tuple[Stage, ...]) -> list[str]:
    found = [
        f"  {name}: {': '.join(part for part in (outcome.code, outcome.message) if part) or outcome.stage}"
        for name, outcome in tracker.outcomes.items()
        if outcome.stage in stages
    ]
    more = [f"  and {len(found) - _REASONS:,} more: `stagecrew failed` lists them"] if len(found) > _REASONS else []
    return [harmless(line) for line in found[:_REASONS]] + more


def _were(number: int) -> str:
    return "was" if number == 1 else "were"
