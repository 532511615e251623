"""`stagecrew purge`: forgets what has ended, before its time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.api_doors import OneAccount, with_services
from worker.cli.terminal import complain, count, say, stop

if TYPE_CHECKING:
    from worker.ledger.purge import Purged
    from worker.services import Services


def purge(
    context: typer.Context,
    *,
    ended_before: Annotated[
        str | None, typer.Option(metavar="AGE", help="Rows of photos that ended so long ago: 30d, 12h.")
    ] = None,
    inbox: Annotated[
        bool, typer.Option("--inbox", help="With --ended-before: webhooks too whose job nobody here knows.")
    ] = False,
    dead_letters: Annotated[
        bool,
        typer.Option("--dead-letters", help="With --ended-before: messages too that sinks did not take."),
    ] = False,
    listing: Annotated[str | None, typer.Option(metavar="ID", help="Rows of this listing's ended photos.")] = None,
    outputs: Annotated[
        bool, typer.Option("--outputs", help="With --listing: its pictures, manifests and receipts in the store too.")
    ] = False,
    account: OneAccount = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this it is only said what would be.")] = False,
) -> None:
    """Forget ended photos before their time. Never what is open or held; without --yes nothing at all.

    A photo whose row is gone and whose manifest stands is still known as staged. With --outputs the manifest goes too:
    such a photo, enqueued again, is bought again.
    """
    _check(ended_before, listing, inbox=inbox, dead_letters=dead_letters, outputs=outputs)

    async def work(services: Services) -> tuple[Purged, int, int]:
        if listing is not None:
            return *await _listing(services, listing, outputs=outputs, really=yes), 0
        return await _old(services, ended_before or "", inbox=inbox, dead_letters=dead_letters, really=yes)

    found, others, dead = with_services(context, work, account=account, needs_key=False)
    verb = "forgotten" if yes else "would be forgotten"
    say(f"{count(found.rows, 'row')} {verb}; {count(found.open, 'photo')} open or held, left alone")
    if found.later:
        say(f"{count(found.later, 'photo')} ended later, left alone")
    if outputs:
        say(f"{count(others, 'object')} of the store {'deleted' if yes else 'would be deleted'}")
    if inbox:
        say(f"{count(others, 'webhook')} of unknown jobs {verb}")
    if dead_letters:
        say(f"{count(dead, 'dead letter')} {verb}")
    if not yes:
        if outputs and others:
            complain(f"listing {listing} would be bought again if it were enqueued again")
        complain("nothing was changed; --yes does it")


def _check(ended_before: str | None, listing: str | None, *, inbox: bool, dead_letters: bool, outputs: bool) -> None:
    if (ended_before is None) is (listing is None):
        stop("say one of --ended-before AGE and --listing ID")
    for option, given in (("--inbox", inbox), ("--dead-letters", dead_letters)):
        if given and ended_before is None:
            stop(f"{option} goes by age: say how old with --ended-before AGE")
    if outputs and listing is None:
        stop("--outputs is of one listing: say which with --listing ID")


async def _old(
    services: Services, age: str, *, inbox: bool, dead_letters: bool, really: bool
) -> tuple[Purged, int, int]:
    from worker.core.moments import span_ms  # noqa: PLC0415 - `--help` must not wait for it

    try:
        before_ms = await services.account.scripts.now_ms() - span_ms(age)
    except ValueError as error:
        stop(str(error))
    purge_ = services.account.purge
    webhooks = await purge_.inbox(before_ms=before_ms, really=really) if inbox else 0
    dead = await purge_.dead_letters(before_ms=before_ms, really=really) if dead_letters else 0
    return await purge_.all_rows(ended_before_ms=before_ms, really=really), webhooks, dead


async def _listing(services: Services, listing: str, *, outputs: bool, really: bool) -> tuple[Purged, int]:
    from worker.storage.names import segment  # noqa: PLC0415

    keys = [view.key for view in await services.ledger.listing(listing)]
    now = await services.account.scripts.now_ms()
    found = await services.account.purge.rows(keys, ended_before_ms=now, really=False)
    objects = 0
    if outputs:
        if found.open:
            stop(f"listing {listing} has {count(found.open, 'photo')} open or held: their outputs are left alone")
        # First the store: a row that is left can be purged again, an output without its row would be forgotten.
        names = [listed.name async for listed in services.store.listed(f"{segment(listing)}/")]
        objects = len(names)
        for name in names if really else ():
            await services.store.delete(name)
    if really:
        found = await services.account.purge.rows(keys, ended_before_ms=now, really=True)
    return found, objects
