"""`stagecrew failed` and `stagecrew replay`: photos that wait for a person."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer


def failed(
    *,
    stage: Annotated[str, typer.Option(help="failed, uncertain or parked.")] = "failed",
    limit: Annotated[int, typer.Option(min=1, help="How many at most, the newest first.")] = 100,
    json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
) -> None:
    """List photos that failed (or are uncertain, or parked) with the reason. Exit 1 when there are any."""
    from config.settings import load_settings  # noqa: PLC0415
    from worker.cli.output import TROUBLE, as_json, console, fail, photo_table  # noqa: PLC0415
    from worker.core.photo import HELD, Stage  # noqa: PLC0415
    from worker.services import open_ledger  # noqa: PLC0415

    if stage not in {Stage.FAILED, *HELD}:
        fail(f"--stage is failed, uncertain or parked, not {stage!r}")

    async def show() -> int:
        async with open_ledger(load_settings()) as ledger:
            views = await ledger.photos(Stage(stage), limit=limit)
        if json:
            typer.echo(as_json(views))
        elif views:
            console().print(photo_table(views))
        else:
            typer.echo(f"no photo is {stage}")
        return TROUBLE if views else 0

    raise typer.Exit(asyncio.run(show()))


def replay(
    photos: Annotated[list[str] | None, typer.Argument(help="Listings whose photos are meant.")] = None,
    *,
    photo: Annotated[str | None, typer.Option(help="Only this photo of the one listing given.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every failed photo.")] = False,
    create_again: Annotated[
        bool,
        typer.Option("--create-again", help="Uncertain photos too: you looked, and there is no job. May cost a second one."),
    ] = False,
) -> None:
    """Send failed photos on their way again, under new keys: each is another job, which may be billed."""
    from config.settings import load_settings  # noqa: PLC0415
    from worker.cli.output import fail  # noqa: PLC0415
    from worker.core.photo import Stage  # noqa: PLC0415
    from worker.services import open_ledger  # noqa: PLC0415

    if bool(photos) == every:
        fail("name listings, or --all")
    wanted = [Stage.FAILED, Stage.PARKED, *([Stage.UNCERTAIN] if create_again else [])]

    async def send() -> int:
        async with open_ledger(load_settings()) as ledger:
            if every:
                views = [view for stage in wanted for view in await ledger.photos(stage, limit=1_000_000)]
            else:
                views = [view for listing in photos or () for view in await ledger.listing(listing)]
            keys = [view.key for view in views if view.stage in wanted and photo in (None, view.photo_id)]
            return await ledger.replay(keys, create_again=create_again)

    sent = asyncio.run(send())
    typer.echo(f"{sent} photos are on their way again" if sent else "nothing to replay")
