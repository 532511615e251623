"""`stagecrew status`: the whole account, a listing, or a photo, now."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import exits
from worker.cli.accounts import AccountOption, Ledgers, with_ledgers
from worker.cli.doors import LedgerPort, jsonable
from worker.cli.terminal import console, say, stop

if TYPE_CHECKING:
    from rich.console import RenderableType

    from worker.ledger.snapshot import Snapshot


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

    async def work(ledgers: Mapping[str, LedgerPort]) -> list[Snapshot]:
        return [await ledger.snapshot() for ledger in ledgers.values()]

    snapshots = with_ledgers(context, account, work)
    if as_json:
        say(json.dumps(jsonable(snapshots[0] if len(snapshots) == 1 else {"accounts": snapshots})))
    else:
        console().print(overviews(snapshots))


def overviews(snapshots: Sequence[Snapshot]) -> RenderableType:
    """Return one account whole, or several with a line each."""
    if len(snapshots) == 1:
        return overview(snapshots[0])
    from rich.console import Group  # noqa: PLC0415 - `--help` must not wait for it
    from rich.text import Text  # noqa: PLC0415

    from worker.cli.tables import account_table  # noqa: PLC0415

    lines = [f"{one.account}: {line}" for one in snapshots for line in notes(one)]
    lines.append("`stagecrew status --account NAME` shows one whole")
    return Group(account_table(snapshots), "", Text("\n".join(lines)))


def notes(snapshot: Snapshot) -> list[str]:
    """Return why something may not go on just now."""
    lines = []
    if snapshot.paused_reason:
        lines.append(f"PAUSED: {snapshot.paused_reason}")
    if snapshot.hold_ms:
        lines.append(f"budgets count as spent for {snapshot.hold_ms / 1000:.0f} s more: Redis has restarted")
    if not snapshot.workers:
        lines.append("no workers: start one with `stagecrew worker`")
    elif snapshot.leader is None:
        lines.append("no worker leads just now; one takes over within seconds")
    return lines


def overview(snapshot: Snapshot) -> RenderableType:
    """Return the account as people read it."""
    from rich.console import Group  # noqa: PLC0415 - `--help` must not wait for it
    from rich.text import Text  # noqa: PLC0415

    from worker.cli.tables import budget_table, partner_table, stage_table, worker_table  # noqa: PLC0415

    lines = [f"account {snapshot.account}: slots {snapshot.slots_used}/{snapshot.slots_cap}, {snapshot.leases} at work"]
    lines += notes(snapshot)
    parts: list[RenderableType] = [Text("\n".join(lines)), "", stage_table(snapshot), "", budget_table(snapshot)]
    if snapshot.partners:
        parts += ["", partner_table(snapshot)]
    if snapshot.workers:
        parts += ["", worker_table(snapshot)]
    return Group(*parts)


def _photos(context: typer.Context, account: str | None, listing: str, photo: str | None, *, as_json: bool) -> None:
    from worker.cli.tables import photo_table  # noqa: PLC0415 - as above

    found = with_ledgers(context, account, lambda ledgers: Ledgers(ledgers).listing(listing))
    views = [view for view in found if photo in (None, view.photo_id)]
    if not views:
        what = f"photo {photo!r} of listing {listing!r}" if photo is not None else f"listing {listing!r}"
        kept = "rows of ended listings are kept for STAGECREW_RETENTION_DAYS"
        stop(f"the ledger knows no {what} ({kept})", exits.TROUBLE)
    if as_json:
        say(json.dumps(jsonable(views)))
    else:
        console().print(photo_table(views))
