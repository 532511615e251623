"""`stagecrew replay`: sends photos on their way again; each is another job, which may be billed.

With --sink it sends messages again that the sink did not take: no photo is staged again, and nothing is billed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import exits
from worker.cli.accounts import AccountOption, with_ledgers
from worker.cli.doors import LedgerPort
from worker.cli.letters import replay_letters
from worker.cli.naming import named
from worker.cli.terminal import complain, count, say, stop

if TYPE_CHECKING:
    from worker.ledger.snapshot import PhotoView

#: Photos of a stage that `--all` sends at most; more of them need another call.
_ALL = 100_000


def replay(
    context: typer.Context,
    *,
    names: Annotated[list[str] | None, typer.Argument(metavar="[LISTING[/PHOTO]]", help="What to send again.")] = None,
    account: AccountOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Send all failed photos again.")] = False,
    sink: Annotated[
        str | None, typer.Option(help="Send this sink's dead letters again: all, or those of the LISTINGs.")
    ] = None,
    create_again: Annotated[
        bool,
        typer.Option(
            "--create-again",
            help="Uncertain photos too. Their job may exist and be billed: this one is then paid for twice.",
        ),
    ] = False,
) -> None:
    """Send failed photos on their way again, under a new idempotency key.

    A replayed photo is a new job and may be billed as one, also if its earlier job was. Only where the job succeeded
    and its outputs could not be stored, that job is read again and nothing is bought. With --sink, messages are sent
    again and nothing else is done.
    """
    if sink is not None:
        replay_letters(context, account, sink, names or [])
        return
    if bool(names) == everything:
        stop("say what to replay: LISTING, LISTING/PHOTO, or --all")
    found, sent, unknown = with_ledgers(
        context, account, lambda ledgers: _send(ledgers, names or [], create_again=create_again)
    )
    for line in unknown:
        complain(line)
    uncertain = sum(view.stage.value == "uncertain" for view in found)
    if uncertain and not create_again:
        complain(
            f"{count(uncertain, 'uncertain photo')} left alone: the job may exist and be billed; look it up in the "
            "Katalo dashboard, or accept a second job with --create-again"
        )
    others = len(found) - sent - (0 if create_again else uncertain)
    if others > 0:
        complain(f"{count(others, 'photo')} left alone: neither failed nor uncertain")
    cost = f": up to {count(sent, 'new job')}, which may be billed" if sent else ""
    say(f"{count(sent, 'photo')} sent again{cost}")
    if unknown or (uncertain and not create_again) or not sent:
        raise typer.Exit(exits.TROUBLE if unknown or uncertain or names else exits.OK)


async def _send(
    ledgers: Mapping[str, LedgerPort], names: list[str], *, create_again: bool
) -> tuple[list[PhotoView], int, list[str]]:
    """Return the photos that were meant, how many were sent, and a line for each name that is not sure to be one's."""
    unknown: list[str] = []
    found: dict[str, dict[str, PhotoView]] = {account: {} for account in ledgers}
    for name in names:
        owners = {account: views for account, ledger in ledgers.items() if (views := await named(ledger, name))}
        if not owners:
            unknown.append(f"{name}: the ledger knows no such listing or photo")
        elif len(owners) > 1:
            unknown.append(f"{name}: accounts {', '.join(owners)} have one; say which with --account")
        else:
            [(account, views)] = owners.items()
            found[account] |= {view.key: view for view in views}
    if not names:
        for account, ledger in ledgers.items():
            found[account] = {view.key: view for view in await _held(ledger)}
    sent = sum(
        [await ledgers[account].replay(list(some), create_again=create_again) for account, some in found.items()]
    )
    return [view for some in found.values() for view in some.values()], sent, unknown


async def _held(ledger: LedgerPort) -> list[PhotoView]:
    from worker.core.photo import Stage  # noqa: PLC0415 - `--help` must not wait for it

    stages: list[Stage] = [Stage.FAILED, Stage.UNCERTAIN]
    return [view for stage in stages for view in await ledger.photos(stage, limit=_ALL)]
