"""`stagecrew watch`: the account as it changes, until Ctrl-C. On a terminal a screen, else a line now and then.

A Redis that goes away in the middle is said so, and the watch goes on when it is back. However it ends, the terminal is
left as it was.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from worker.cli import exits
from worker.cli.accounts import AccountOption, with_ledgers
from worker.cli.terminal import console, quietly, says_lines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.cli.doors import AccountPort
    from worker.cli.watching import View

#: Between two looks, in seconds: on a screen, and when lines go to a log.
SCREEN_S: Final = 1.0
LINES_S: Final = 5.0


def watch(
    context: typer.Context,
    *,
    account: AccountOption = None,
    plain: Annotated[bool, typer.Option("--plain", help="Print lines: on a change, and once a minute.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON Lines: on a change, and once a minute.")] = False,
    interval: Annotated[
        float | None, typer.Option(min=0.2, help="Seconds between two looks; 1 on a screen, 5 for lines.")
    ] = None,
    times: Annotated[int | None, typer.Option(min=1, help="End after so many looks.")] = None,
) -> None:
    """Show the account as it changes, until Ctrl-C: a screen on a terminal, lines in a pipe or file."""
    lines = as_json or plain or says_lines()
    interval_s = interval or (LINES_S if lines else SCREEN_S)

    async def work(ledgers: Mapping[str, AccountPort]) -> bool:
        from worker.cli.watching import Interruption, Lines, Screen, follow  # noqa: PLC0415 - `--help` must not wait

        view: View = Lines(as_json=as_json) if lines else Screen(console())
        interruption = Interruption()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, interruption.stop)
        # A window that changes its size is drawn anew at once.
        loop.add_signal_handler(signal.SIGWINCH, interruption.wake)
        with quietly(), view:
            await follow(ledgers, view, interruption, interval_s=interval_s, times=times)
        return interruption.stopped

    if with_ledgers(context, account, work):
        raise typer.Exit(exits.INTERRUPTED)
    sys.stdout.flush()
