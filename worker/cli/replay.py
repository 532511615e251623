"""`stagecrew replay`: sends photos on their way again; each is another job, which may be billed.

With --sink it sends messages again that the sink did not take: no photo is staged again, and nothing is billed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import exits
from worker.cli.doors import LedgerPort, with_ledger
from worker.cli.letters import replay_letters
from worker.cli.terminal import complain, count, say, stop

if TYPE_CHECKING:
    from worker.core.photo import Stage
    from worker.ledger.snapshot import PhotoView

#: Photos of a stage that `--all` sends at most; more of them need another call.
_ALL = 100_000


def replay(
    context: typer.Context,
    *,
    names: Annotated[list[str] | None, typer.Argument(metavar="[LISTING[/PHOTO]]", help="What to send again.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Send all failed and parked photos again.")] = False,
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
    """Send failed and parked photos on their way again, under a new idempotency key.

    A replayed photo is a new job and may be billed as one, also if its earlier job was. Only where the job succeeded
    and its outputs could not be stored, that job is read again and nothing is bought. With --sink, messages are sent
    again and nothing else is done.
    """
    if sink is not None:
        replay_letters(context, sink, names or [])
        return
    if bool(names) == everything:
        stop("say what to replay: LISTING, LISTING/PHOTO, or --all")
    found, sent, unknown = with_ledger(context, lambda ledger: _send(ledger, names or [], create_again=create_again))
    for name in unknown:
        complain(f"{name}: the ledger knows no such listing or photo")
    uncertain = sum(view.stage.value == "uncertain" for view in found)
    if uncertain and not create_again:
        complain(
            f"{count(uncertain, 'uncertain photo')} left alone: the job may exist and be billed; look it up in the "
            "Katalo dashboard, or accept a second job with --create-again"
        )
    others = len(found) - sent - (0 if create_again else uncertain)
    if others > 0:
        complain(f"{count(others, 'photo')} left alone: neither failed nor held")
    cost = f": up to {count(sent, 'new job')}, which may be billed" if sent else ""
    say(f"{count(sent, 'photo')} sent again{cost}")
    if unknown or (uncertain and not create_again) or not sent:
        raise typer.Exit(exits.TROUBLE if unknown or uncertain or names else exits.OK)


async def _send(ledger: LedgerPort, names: list[str], *, create_again: bool) -> tuple[list[PhotoView], int, list[str]]:
    """Return the photos that were meant, how many were sent, and the names that nothing answers to."""
    from worker.core.photo import Stage  # noqa: PLC0415 - `--help` must not wait for it

    unknown: list[str] = []
    found: dict[str, PhotoView] = {}
    if names:
        for name in names:
            views = await _named(ledger, name)
            found |= {view.key: view for view in views}
            unknown += [] if views else [name]
    else:
        stages: list[Stage] = [Stage.FAILED, Stage.PARKED, Stage.UNCERTAIN]
        for stage in stages:
            found |= {view.key: view for view in await ledger.photos(stage, limit=_ALL)}
    sent = await ledger.replay(list(found), create_again=create_again)
    return list(found.values()), sent, unknown


async def _named(ledger: LedgerPort, name: str) -> list[PhotoView]:
    """Return the photos of a listing, or the one photo; ids may have slashes, so every way to part them is tried."""
    if views := await ledger.listing(name):
        return views
    parts = name.split("/")
    for cut in range(1, len(parts)):
        listing, photo = "/".join(parts[:cut]), "/".join(parts[cut:])
        if views := [view for view in await ledger.listing(listing) if view.photo_id == photo]:
            return views
    return []
