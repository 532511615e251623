"""`stagecrew watch`: the account as it changes, until Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.accounts import AccountOption, with_ledgers
from worker.cli.doors import AccountPort, jsonable
from worker.cli.terminal import console, harmless, say

if TYPE_CHECKING:
    from worker.ledger.snapshot import Snapshot


def watch(
    context: typer.Context,
    *,
    account: AccountOption = None,
    plain: Annotated[bool, typer.Option("--plain", help="Print a line when something has changed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object when something has changed.")] = False,
    interval: Annotated[float, typer.Option(min=0.2, help="Seconds between two looks.")] = 1.0,
    times: Annotated[int | None, typer.Option(min=1, help="End after so many looks.")] = None,
) -> None:
    """Show the account as it changes, until Ctrl-C."""
    if as_json or plain or not sys.stdout.isatty():
        with_ledgers(context, account, lambda ledgers: _lines(ledgers, interval, times, as_json=as_json))
    else:
        with_ledgers(context, account, lambda ledgers: _live(ledgers, interval, times))


async def _lines(ledgers: Mapping[str, AccountPort], interval_s: float, times: int | None, *, as_json: bool) -> None:
    shown, looks = dict[str, str](), 0
    while times is None or looks < times:
        for name, ledger in ledgers.items():
            snapshot = await ledger.snapshot()
            line = f"{name}: {summary(snapshot)}" if len(ledgers) > 1 else summary(snapshot)
            if line != shown.get(name):
                say(json.dumps(jsonable(snapshot)) if as_json else line)
                shown[name] = line
        looks += 1
        if looks != times:
            await asyncio.sleep(interval_s)


async def _live(ledgers: Mapping[str, AccountPort], interval_s: float, times: int | None) -> None:
    from rich.live import Live  # noqa: PLC0415 - `--help` must not wait for it

    from worker.cli.status import look, overviews  # noqa: PLC0415

    looks = 0
    with Live(console=console(), auto_refresh=False, screen=times is None) as live:
        while times is None or looks < times:
            live.update(overviews(await look(ledgers)), refresh=True)
            looks += 1
            if looks != times:
                await asyncio.sleep(interval_s)


def summary(snapshot: Snapshot) -> str:
    """Return the account in one line, without what only time changes."""
    parts = [f"{stage} {photos}" for stage, photos in snapshot.stages.items() if photos]
    line = f"{' '.join(parts) or 'no photos'} | slots {snapshot.slots_used}/{snapshot.slots_cap}"
    line += f" | workers {len(snapshot.workers)}"
    reasons = [snapshot.paused_reason, *snapshot.pauses]
    return " | ".join([line, *(harmless(f"PAUSED: {reason}") for reason in reasons if reason)])
