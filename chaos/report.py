"""A run's outcome as a table for a terminal: what was done, what it cost, and whether each promise held."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from chaos.plan import Fault
from chaos.run import Outcome, Task

#: Contradictions of one invariant that are shown.
_SHOWN: Final = 8
#: What a job costs in the sandbox, in USD.
PRICE: Final = Decimal("0.50")


def report(task: Task, outcome: Outcome) -> str:
    """Return the table."""
    books = outcome.books
    mixed = ", every second of the release before" if task.earlier else ""
    bill = f"{outcome.billed:,} billed: ${outcome.billed * PRICE:,}"
    over = sum(books["refused"].values())
    lines = [
        "",
        f"  seed {task.seed}, {task.photos:,} photos, {task.workers} workers{mixed}, {outcome.seconds:.0f} s",
        "",
        "  What was done",
        *_columns({fault.value: count for fault, count in outcome.strikes.items()}),
        "",
        "  Calls that were spoilt on their way",
        *_columns(outcome.calls_spoilt),
        "",
        "  The API's own books",
        f"    {outcome.orders:,} orders, {books['jobs_created']:,} jobs, {bill}",
        f"    {books['replays']:,} writes came again under their key, {books['conflicts']} with other bytes",
        f"    {books['peak_in_flight']} jobs in flight at most, {over} calls over a limit",
        f"    {outcome.events:,} messages on the stream, {outcome.copies:,} copies at the sink",
        f"    {outcome.repeated} requests of the producer's were sent again",
        "",
        "  What is promised",
    ]
    for name, found in outcome.broken.items():
        lines.append(f"    {'ok    ' if not found else 'BROKEN'}  {name}")
        lines += [f"              {one}" for one in found[:_SHOWN]]
        if len(found) > _SHOWN:
            lines.append(f"              and {len(found) - _SHOWN:,} more")
    lines += ["", f"  {'All held.' if outcome.holds else 'NOT ALL HELD.'} The same again: {again(task)}", ""]
    return "\n".join(lines)


def again(task: Task) -> str:
    """Return the command for the same run again."""
    given = [f"--seed {task.seed} --photos {task.photos} --workers {task.workers} --minutes {task.minutes:g}"]
    if list(task.faults) != list(Fault):
        given.append(f"--faults {','.join(task.faults)}")
    if task.earlier is None:
        given.append("--one-release")
    if not task.quick_store:
        given.append("--moto")
    return " ".join(["python -m chaos", *given])


def _columns(counts: Mapping[str, int]) -> list[str]:
    found = [f"{name.replace('_', ' '):<27}{count:>6,}" for name, count in sorted(counts.items())] or ["none"]
    return [f"    {'    '.join(found[at : at + 2])}" for at in range(0, len(found), 2)]
