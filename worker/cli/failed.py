"""`stagecrew failed`: the photos that wait for a person, and why; with --sink, the messages a sink did not take."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from worker.cli.accounts import AccountOption, Ledgers, with_ledgers
from worker.cli.doors import jsonable
from worker.cli.letters import dead_letters
from worker.cli.terminal import console, count, say, stop


class Held(StrEnum):
    """Stages that wait for a person."""

    FAILED = "failed"
    UNCERTAIN = "uncertain"
    PARKED = "parked"


def failed(
    context: typer.Context,
    *,
    account: AccountOption = None,
    stage: Annotated[Held, typer.Option(help="Which kind.")] = Held.FAILED,
    sink: Annotated[str | None, typer.Option(help="List the dead letters of this sink instead.")] = None,
    forget: Annotated[
        bool, typer.Option("--forget", help="With --sink: drop them for good; of a removed sink, all that waits too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Show so many, the newest first.")] = 100,
) -> None:
    """List failed, uncertain or parked photos, the newest first, each with its reason; or a sink's dead letters."""
    if sink is not None:
        dead_letters(context, account, sink, forget=forget, as_json=as_json, limit=limit)
        return
    if forget:
        stop("--forget drops a sink's dead letters: say which with --sink")
    from worker.cli.tables import photo_table  # noqa: PLC0415 - `--help` must not wait for it
    from worker.core.photo import Stage  # noqa: PLC0415

    views = with_ledgers(context, account, lambda all_: Ledgers(all_).photos(Stage(stage.value), limit=limit))
    if as_json:
        say(json.dumps(jsonable(views)))
    elif not views:
        say(f"no photo is {stage.value}")
    else:
        console().print(photo_table(views))
        more = f" (the newest; --limit shows more than {limit:,})" if len(views) == limit else ""
        say(f"{count(len(views), 'photo')} {stage.value}{more}")
