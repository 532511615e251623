"""`stagecrew cancel`: withdraws photos before their job is bought; afterwards keeps or drops what was paid for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Final

import typer

from worker.cli import exits
from worker.cli.accounts import AccountOption
from worker.cli.steering import Steering, agree, many, meant, steer, tell
from worker.cli.terminal import count, say, stop

if TYPE_CHECKING:
    from worker.ledger.verdicts import Cancelled, PhotoName

#: What each verdict means, for people; the words are those of `worker.ledger.verdicts.CancelVerdict`.
_MEANING: Final = {
    "withdrawn": "withdrawn: no job was created and none will be",
    "kept": "paid for already: the result is stored as usual",
    "dropped": "paid for already: the result will not be stored",
    "uncertain": "left alone: a job may exist and be billed; look it up in the Katalo dashboard first",
    "ended": "left alone: ended before",
    "unknown": "not in the ledger any more",
}


def cancel(
    context: typer.Context,
    *,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[LISTING[/PHOTO]]", help="Photos, or listings with all their photos.")
    ] = None,
    account: AccountOption = None,
    partner: Annotated[
        list[str] | None, typer.Option("--partner", metavar="NAME", help="All open photos of a partner.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All open photos.")] = False,
    keep: Annotated[bool, typer.Option("--keep/--drop", help="What becomes of results that are paid for.")] = True,
    yes: Annotated[
        bool, typer.Option("--yes", help="Don't ask before a partner's or all photos are cancelled.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answers as JSON.")] = False,
) -> None:
    """Cancel photos. Before its job was created a photo is withdrawn and costs nothing.

    Afterwards the job is paid for: its result is stored as usual or, with --drop, not stored. Enqueueing a cancelled
    photo again stages it after all.
    """
    if sum((bool(names), bool(partner), everything)) != 1:
        stop("say what to cancel: LISTING, LISTING/PHOTO, --partner NAME, or --all")

    async def work(on: Steering) -> tuple[list[Cancelled], list[str]]:
        from worker.core.photo import ENDED, HELD, UNPAID, Stage  # noqa: PLC0415 - `--help` must not wait for it
        from worker.ledger.control import Control  # noqa: PLC0415

        photos: Mapping[str, Iterable[PhotoName]]
        unknown: list[str] = []
        if names:
            found = await meant(on.ledgers, names)
            photos, unknown = found.photos, found.unknown
        else:
            open_photos = await many(on.ledgers, set(Stage) - ENDED, partner)
            photos = open_photos
            stages = [stage for some in open_photos.values() for stage in some.values()]
            waiting = sum(stage in UNPAID | HELD for stage in stages)
            if stages:
                fate = "kept" if keep else "dropped"
                question = f"{count(waiting, 'waiting photo')} will be withdrawn"
                agree(f"{question}; {len(stages) - waiting:,} more are paid for, and their results {fate}", yes=yes)
        answers: list[Cancelled] = []
        for name, some in photos.items():
            answers += await Control(on.ledgers[name]).cancel(list(some), keep=keep)
        return answers, unknown

    answers, unknown = steer(context, account, work)
    tell(answers, _MEANING, unknown, as_json=as_json)
    if not answers and not as_json:
        say("no photo to cancel")
    if unknown or any(str(answer.verdict) == "uncertain" for answer in answers):
        raise typer.Exit(exits.TROUBLE)
