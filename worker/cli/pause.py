"""`stagecrew pause` and `stagecrew resume`: photos, listings, partners or the account wait until they are resumed."""

from __future__ import annotations

import contextlib
import getpass
import json
import socket
from typing import TYPE_CHECKING, Annotated, Final

import typer

from worker.cli import exits
from worker.cli.accounts import AccountOption
from worker.cli.doors import jsonable
from worker.cli.steering import Steering, meant, steer, tell
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
    account: AccountOption = None,
    partner: Partners = None,
    everything: Annotated[bool, typer.Option("--all", help="The whole account.")] = False,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for whoever wonders.")] = "",
    as_json: AsJson = False,
) -> None:
    """Pause photos, listings, partners or the whole account; without any of them, show what is paused.

    What is before its create waits, and photos that come to a paused listing, partner or account wait too, so a listing
    may be paused before anything of it is there. Jobs in flight are paid for and go on to be stored.
    """
    if not (names or partner or everything):
        steer(context, account, lambda on: _show(on, as_json=as_json))
        return
    by = _who()

    async def work(on: Steering) -> tuple[list[Paused], list[str], list[str]]:
        from worker.ledger.pausing import Pauses  # noqa: PLC0415 - `--help` must not wait for it

        answers: list[Paused] = []
        lines = []
        found = await meant(on.ledgers, names or [])
        for name, ledger in on.ledgers.items():
            pauses, where = Pauses(ledger), f" (account {name})" if len(on.ledgers) > 1 else ""
            if everything:
                first = await pauses.pause_account(reason=reason, by=by)
                lines.append(f"account {name} {'is paused' if first else 'was paused before'}")
            for who in partner or []:
                first = await pauses.pause_partner(who, reason=reason, by=by)
                lines.append(f"partner {who} {'is paused' if first else 'was paused before'}{where}")
            photos = found.photos.get(name, {})
            whole = {listing_id for listing_id, _ in photos if listing_id in (names or [])}
            for listing_id in sorted(whole):
                answers += await pauses.pause_listing(listing_id, reason=reason, by=by)
            single = [photo for photo in photos if photo[0] not in whole]
            answers += await pauses.pause(single, reason=reason, by=by)
        to_come = [name for name in found.unknown if await _listing_to_come(on, name, reason=reason, by=by)]
        lines += [f"listing {name} is paused; nothing of it is in the ledger yet" for name in to_come]
        return answers, [name for name in found.unknown if name not in to_come], lines

    answers, unknown, lines = steer(context, account, work)
    where = (
        "the ledger knows no such photo, and only a whole LISTING can be paused before it is there; of several "
        "accounts, say whose it will be with --account"
    )
    tell(answers, _PAUSED, unknown, lines=lines, as_json=as_json, where=where)
    if unknown:
        raise typer.Exit(exits.TROUBLE)


def resume(
    context: typer.Context,
    *,
    names: Names = None,
    account: AccountOption = None,
    partner: Partners = None,
    everything: Annotated[bool, typer.Option("--all", help="The account; partners and listings keep theirs.")] = False,
    as_json: AsJson = False,
) -> None:
    """End pauses: photos go on where they were. What is parked for another reason stays parked."""
    if not (names or partner or everything):
        stop("say what to resume: LISTING, LISTING/PHOTO, --partner NAME, or --all (`stagecrew pause` shows pauses)")

    async def work(on: Steering) -> tuple[list[Resumed], list[str], list[str]]:
        from worker.ledger.pausing import Pauses  # noqa: PLC0415 - `--help` must not wait for it

        answers: list[Resumed] = []
        lines, known = [], set[str]()
        found = await meant(on.ledgers, names or [])
        for name, ledger in on.ledgers.items():
            pauses, where = Pauses(ledger), f" (account {name})" if len(on.ledgers) > 1 else ""
            if everything:
                lines.append(f"account {name} {'goes on' if await pauses.resume_account() else 'was not paused'}")
            for who in partner or []:
                went_on = await pauses.resume_partner(who)
                lines.append(f"partner {who} {'goes on' if went_on else 'was not paused'}{where}")
            photos = found.photos.get(name, {})
            # A paused listing may have no rows any more.
            paused = {pause.listing_id for pause in await pauses.listings()} & set(names or []) if names else set()
            whole = {listing_id for listing_id, _ in photos if listing_id in (names or [])} | paused
            for listing_id in sorted(whole):
                answers += await pauses.resume_listing(listing_id)
            lines += [f"listing {listing_id} goes on{where}" for listing_id in sorted(paused)]
            answers += await pauses.resume([photo for photo in photos if photo[0] not in whole])
            known |= paused
        return answers, [name for name in found.unknown if name not in known], lines

    answers, unknown, lines = steer(context, account, work)
    tell(answers, _RESUMED, unknown, lines=lines, as_json=as_json)
    if unknown:
        raise typer.Exit(exits.TROUBLE)


async def _show(on: Steering, *, as_json: bool) -> None:
    from worker.core.events import clock_text  # noqa: PLC0415 - `--help` must not wait for it
    from worker.core.photo import Stage  # noqa: PLC0415
    from worker.ledger.pausing import Pauses  # noqa: PLC0415

    shown: dict[str, object] = {}
    parked, lines = 0, []
    for name, ledger in on.ledgers.items():
        snapshot = await ledger.snapshot()
        pauses: list[PauseView | ListingPause] = [*snapshot.pauses, *await Pauses(ledger).listings()]
        shown[name] = jsonable(pauses)
        parked += snapshot.stages.get(Stage.PARKED, 0)
        where = f"{name}: " if len(on.ledgers) > 1 else ""
        lines += [harmless(f"{where}{pause} (since {clock_text(pause.since_ms)} UTC)") for pause in pauses]
    if as_json:
        say(json.dumps({"pauses": shown, "parked": parked}))
        return
    for line in lines or ["neither an account, nor a partner, nor a listing is paused"]:
        say(line)
    if parked:
        say(f"{count(parked, 'photo')} parked: `stagecrew failed --stage parked` lists them")


async def _listing_to_come(on: Steering, name: str, *, reason: str, by: str) -> bool:
    """Pause a listing that no ledger knows; False when it is not plain whose it will be, or that a listing is meant."""
    from worker.ledger.pausing import Pauses  # noqa: PLC0415 - `--help` must not wait for it

    if len(on.ledgers) != 1 or "/" in name:
        return False
    [ledger] = on.ledgers.values()
    await Pauses(ledger).pause_listing(name, reason=reason, by=by)
    return True


def _who() -> str:
    """Return who asks, for whoever wonders later."""
    with contextlib.suppress(OSError, KeyError):
        return f"{getpass.getuser()}@{socket.gethostname()}"
    return socket.gethostname()
