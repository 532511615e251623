"""`stagecrew gallery`: the before/after page of listings, or of everything, in files that need nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from worker.cli import exits
from worker.cli.accounts import AccountOption, chosen
from worker.cli.api_doors import Opened, with_every_services
from worker.cli.doors import settings_of
from worker.cli.terminal import complain, count, harmless, say, stop

if TYPE_CHECKING:
    from worker.services import Services

#: Photos on a page: a browser carries so many with ease.
PER_PAGE: Final = 60


def gallery(
    context: typer.Context,
    *,
    listings: Annotated[list[str] | None, typer.Argument(metavar="LISTING", help="Listings, by their ids.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All that is staged, failed or held, in the ledger and in the store.")
    ] = False,
    out: Annotated[Path, typer.Option(help="The file; further pages are beside it.")] = Path("gallery.html"),
    per_page: Annotated[int, typer.Option(min=1, max=500, help="Photos on a page.")] = PER_PAGE,
    account: AccountOption = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Write a page with photos before and after, their facts, and why others are not staged.

    The page holds everything that it shows, so it can be opened offline and sent on.
    """
    if bool(listings) is everything:
        stop("name listings, or say --all")
    names = chosen(settings_of(context), account)

    async def work(opened: Opened) -> tuple[list[Path], int, list[str]]:
        from worker.cli.gallery_pages import find, write_pages  # noqa: PLC0415 - `--help` must not wait for it

        services: dict[str, Services] = {name: await opened(name) for name in names}
        found, unknown = await find(services, listings or [])
        return await write_pages(services, found, out, per_page=per_page, tell=complain), len(found), unknown

    pages, photos, unknown = with_every_services(context, work, needs_key=False)
    for listing in unknown:
        complain(harmless(f"{listing}: neither the ledger nor the store knows such a listing"))
    if not pages:
        stop("there is nothing to show", exits.TROUBLE)
    size = sum(page.stat().st_size for page in pages) / 1_000_000
    say(f"{count(photos, 'photo')} on {count(len(pages), 'page')} ({size:,.1f} MB): {pages[0]}")
    if open_page:
        typer.launch(pages[0].resolve().as_uri())
    if unknown:
        raise typer.Exit(exits.TROUBLE)
