"""`stagecrew pause` and `stagecrew resume`: photos, listings, partners or the account wait until they are resumed."""

from __future__ import annotations

import contextlib
import getpass
import json
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from worker.cli import exits
from worker.cli.doors import jsonable
from worker.cli.naming import named
from worker.cli.steering import Steering, steer, tell
from worker.cli.terminal import count, harmless, say, stop

if TYPE_CHECKING:
    from worker.ledger.pausing import ListingPause
    from worker.ledger.snapshot import PauseView
    from worker.ledger.verdicts import Paused, Resumed

#: What each verdict means, for people; the words are those of `worker.ledger.verdicts`.
_PAUSED: Final = {
    "parked": "paused",
    "already": "paused before",
    "in_flight": "not stopped: the job is paid for, and its result is stored as usual",
    "ended": "left alone: ended before",
    "unknown": "not in the ledger any more",
}
_RESUMED: Final = {
    "resumed": "resumed",
    "not_paused": "left alone: not paused",
    "unknown": "not in the ledger any more",
}

Names = Annotated[list[str] | None, typer.Argument(metavar="[LISTING[/PHOTO]]", help="Photos, or whole listings.")]
Partners = Annotated[list[str] | None, typer.Option("--partner", metavar="NAME", help="A partner.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def pause(
    context: typer.Context,
    *,
    names: Names = None,
    partner: Partners = None,
    everything: Annotated[bool, typer.Option("--all", help="The whole account.")] = False,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for whoever wonders.")] = "",
    as_json: AsJson = False,
) -> None:
    """Pause photos, listings, partners or the whole account; without any of them, show what is paused.

    What is before its create waits, and photos that come to a paused listing, partner or account wait too. Jobs in
    flight are paid for and go on to be stored.
    """
    if not (names or partner or everything):
        steer(context, lambda on: _show(on, as_json=as_json))
        return
    by = _who()

    async def work(on: Steering) -> tuple[list[Paused], list[str], list[str]]:
        from worker.ledger.pausing import Pauses  # noqa: PLC0415 - `--help` must not wait for it

        pauses, answers, unknown, lines = Pauses(on.ledger), [], [], []
        if everything:
            first = await pauses.pause_account(reason=reason, by=by)
            lines.append(f"the account {'is paused' if first else 'was paused before'}")
        for name in partner or []:
            first = await pauses.pause_partner(name, reason=reason, by=by)
            lines.append(f"partner {name} {'is paused' if first else 'was paused before'}")
        for name in names or []:
            views = await named(on.ledger, name)
            if not views:
                unknown.append(name)
            elif views[0].listing_id == name:
                answers += await pauses.pause_listing(name, reason=reason, by=by)
            else:
                photos = [(view.listing_id, view.photo_id) for view in views]
                answers += await pauses.pause(photos, reason=reason, by=by)
        return answers, unknown, lines

    answers, unknown, lines = steer(context, work)
    tell(answers, _PAUSED, unknown, lines=lines, as_json=as_json)
    if unknown:
        raise typer.Exit(exits.TROUBLE)


def resume(
    context: typer.Context,
    *,
    names: Names = None,
    partner: Partners = None,
    everything: Annotated[
        bool, typer.Option("--all", help="The account; its partners and listings keep theirs.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """End pauses: photos go on where they were. What is parked for another reason stays parked."""
    if not (names or partner or everything):
        stop("say what to resume: LISTING, LISTING/PHOTO, --partner NAME, or --all (`stagecrew pause` shows pauses)")

    async def work(on: Steering) -> tuple[list[Resumed], list[str], list[str]]:
        from worker.ledger.pausing import Pauses  # noqa: PLC0415 - `--help` must not wait for it

        pauses, answers, unknown, lines = Pauses(on.ledger), [], [], []
        if everything:
            lines.append(f"the account {'goes on' if await pauses.resume_account() else 'was not paused'}")
        for name in partner or []:
            went_on = await pauses.resume_partner(name)
            lines.append(f"partner {name} {'goes on' if went_on else 'was not paused'}")
        paused = {listing.listing_id for listing in await pauses.listings()} if names else set()
        for name in names or []:
            views = await named(on.ledger, name)
            if name in paused or (views and views[0].listing_id == name):
                answers += await pauses.resume_listing(name)
                lines += [f"listing {name} goes on"] if name in paused else []
            elif views:
                answers += await pauses.resume([(view.listing_id, view.photo_id) for view in views])
            else:
                unknown.append(name)
        return answers, unknown, lines

    answers, unknown, lines = steer(context, work)
    tell(answers, _RESUMED, unknown, lines=lines, as_json=as_json)
    if unknown:
        raise typer.Exit(exits.TROUBLE)


async def _show(on: Steering, *, as_json: bool) -> None:
    from worker.core.photo import Stage  # noqa: PLC0415 - `--help` must not wait for it
    from worker.ledger.pausing import Pauses  # noqa: PLC0415

    snapshot, listings = await on.ledger.snapshot(), await Pauses(on.ledger).listings()
    parked = snapshot.stages.get(Stage.PARKED, 0)
    pauses: list[PauseView | ListingPause] = [*snapshot.pauses, *listings]
    if as_json:
        say(json.dumps({"pauses": jsonable(pauses), "parked": parked}))
        return
    for found in pauses:
        since = datetime.fromtimestamp(found.since_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
        say(harmless(f"{found} (since {since} UTC)"))
    if not pauses:
        say("neither the account, nor a partner, nor a listing is paused")
    if parked:
        say(f"{count(parked, 'photo')} parked: `stagecrew failed --stage parked` lists them")


def _who() -> str:
    """Return who asks, for whoever wonders later."""
    with contextlib.suppress(OSError, KeyError):
        return f"{getpass.getuser()}@{socket.gethostname()}"
    return socket.gethostname()
