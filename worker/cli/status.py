"""`stagecrew status`: the whole account, a listing, or a photo, now."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from worker.cli import exits
from worker.cli.accounts import AccountOption, with_ledgers
from worker.cli.doors import AccountPort, jsonable
from worker.cli.terminal import console, count, harmless, say, stop

if TYPE_CHECKING:
    from rich.console import RenderableType

    from worker.flow.outlook import Prospect
    from worker.ledger.snapshot import PhotoView, Snapshot

    #: An account's picture, and what its photos that wait may expect.
    Look: TypeAlias = tuple[Snapshot, Prospect]


def status(
    context: typer.Context,
    *,
    listing: Annotated[str | None, typer.Argument(help="Show the photos of this listing.")] = None,
    photo: Annotated[str | None, typer.Argument(help="Show this photo of it only.")] = None,
    account: AccountOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show where everything is: stages, slots, budgets, partners, workers; or a listing's photos.

    Of several accounts it shows a line each, and the whole of one with --account.
    """
    if listing is not None:
        _photos(context, account, listing, photo, as_json=as_json)
        return

    looks = with_ledgers(context, account, look)
    if as_json:
        found = [account_json(snapshot, prospect) for snapshot, prospect in looks]
        say(json.dumps(found[0] if len(found) == 1 else {"accounts": found}))
    else:
        console().print(overviews(looks))


async def look(ledgers: Mapping[str, AccountPort]) -> list[Look]:
    """Return the accounts' pictures, and what their photos that wait may expect."""
    return [(await ledger.snapshot(), await ledger.prospect()) for ledger in ledgers.values()]


def account_json(snapshot: Snapshot, prospect: Prospect) -> dict[str, Any]:
    """Return the account as `--json` prints it."""
    found = jsonable(snapshot)
    assert isinstance(found, dict)
    held = snapshot.without_turns(some.partner for some in prospect.waiting)
    partners = prospect.without(held).partners()
    outlooks = {partner: {"share": one.share, "done_ms": one.done_ms} for partner, one in partners.items()}
    return {**found, "outlooks": outlooks, "no_turns": prospect.photos_of(held)}


def overviews(looks: Sequence[Look]) -> RenderableType:
    """Return one account whole, or several with a line each."""
    if len(looks) == 1:
        return overview(*looks[0])
    snapshots = [snapshot for snapshot, _ in looks]
    from rich.console import Group  # noqa: PLC0415 - `--help` must not wait for it
    from rich.text import Text  # noqa: PLC0415

    from worker.cli.tables import account_table  # noqa: PLC0415

    lines = [f"{one.account}: {line}" for one in snapshots for line in notes(one)]
    lines.append("`stagecrew status --account NAME` shows one whole")
    return Group(account_table(snapshots), "", Text("\n".join(lines)))


def notes(snapshot: Snapshot) -> list[str]:
    """Return why something may not go on just now."""
    from worker.cli.money_lines import money_lines  # noqa: PLC0415 - `--help` must not wait for it

    lines = []
    if snapshot.paused_reason:
        lines.append(f"PAUSED: {snapshot.paused_reason}")
    lines += money_lines(snapshot)
    lines += [harmless(f"PAUSED: {pause}") for pause in snapshot.pauses]
    if snapshot.paused_listings:
        lines.append(f"{count(snapshot.paused_listings, 'listing')} paused: `stagecrew pause` shows which")
    if snapshot.hold_ms:
        lines.append(f"budgets count as spent for {snapshot.hold_ms / 1000:.0f} s more: Redis has restarted")
    if not snapshot.workers:
        lines.append("no workers: start one with `stagecrew worker`")
    elif snapshot.leader is None:
        lines.append("no worker leads just now; one takes over within seconds")
    return lines


def overview(snapshot: Snapshot, prospect: Prospect) -> RenderableType:
    """Return the account as people read it."""
    from rich.console import Group  # noqa: PLC0415 - `--help` must not wait for it
    from rich.text import Text  # noqa: PLC0415

    from worker.cli.tables import (  # noqa: PLC0415
        budget_table,
        outlook_table,
        partner_table,
        sink_table,
        stage_table,
        worker_table,
    )

    lines = [f"account {snapshot.account}: slots {snapshot.slots_used}/{snapshot.slots_cap}, {snapshot.leases} at work"]
    lines += notes(snapshot)
    parts: list[RenderableType] = [Text("\n".join(lines)), "", stage_table(snapshot), "", budget_table(snapshot)]
    if snapshot.partners:
        parts += ["", partner_table(snapshot)]
    if prospect.waiting:
        held = snapshot.without_turns(some.partner for some in prospect.waiting)
        parts += ["", outlook_table(prospect, held=held)]
    if snapshot.workers:
        parts += ["", worker_table(snapshot)]
    if snapshot.sinks:
        parts += ["", sink_table(snapshot)]
    return Group(*parts)


def _photos(context: typer.Context, account: str | None, listing: str, photo: str | None, *, as_json: bool) -> None:
    from worker.cli.tables import photo_table  # noqa: PLC0415 - as above

    async def work(ledgers: Mapping[str, AccountPort]) -> list[PhotoView]:
        return [
            _with_reason(view, snapshot)
            for ledger in ledgers.values()
            for snapshot in [await ledger.snapshot()]
            for view in await ledger.listing(listing)
        ]

    found = with_ledgers(context, account, work)
    views = [view for view in found if photo in (None, view.photo_id)]
    if not views:
        what = f"photo {photo!r} of listing {listing!r}" if photo is not None else f"listing {listing!r}"
        kept = "rows of ended listings are kept for STAGECREW_RETENTION_DAYS"
        stop(f"the ledger knows no {what} ({kept})", exits.TROUBLE)
    if as_json:
        say(json.dumps(jsonable(views)))
    else:
        console().print(photo_table(views))


def _with_reason(view: PhotoView, snapshot: Snapshot) -> PhotoView:
    """Return a photo that gets no turn with the reason: its partner, or the account, is paused or at a cap."""
    from dataclasses import replace  # noqa: PLC0415 - as above

    from worker.core.photo import UNPAID  # noqa: PLC0415

    if view.stage not in UNPAID or view.error_message:
        return view
    whose = {None, view.partner}
    paused = [str(pause) for pause in snapshot.pauses if pause.partner in whose]
    capped = [cap.describe() for cap in snapshot.capped if cap.partner in whose]
    if not paused and not capped:
        return view
    return replace(view, error_code="paused" if paused else "capped", error_message=(paused + capped)[0])
