"""`stagecrew status`: the whole account, a listing, or a photo, now."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import exits
from worker.cli.doors import LedgerPort, jsonable, with_ledger
from worker.cli.terminal import console, say, stop

if TYPE_CHECKING:
    from rich.console import RenderableType

    from worker.ledger.snapshot import Snapshot


def status(
    context: typer.Context,
    *,
    listing: Annotated[str | None, typer.Argument(help="Show the photos of this listing.")] = None,
    photo: Annotated[str | None, typer.Argument(help="Show this photo of it only.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show where everything is: stages, slots, budgets, partners, workers; or a listing's photos."""
    if listing is not None:
        _photos(context, listing, photo, as_json=as_json)
        return

    async def work(ledger: LedgerPort) -> Snapshot:
        return await ledger.snapshot()

    snapshot = with_ledger(context, work)
    if as_json:
        say(json.dumps(jsonable(snapshot)))
    else:
        console().print(overview(snapshot))


def overview(snapshot: Snapshot) -> RenderableType:
    """Return the account as people read it."""
    from rich.console import Group  # noqa: PLC0415 - `--help` must not wait for it
    from rich.text import Text  # noqa: PLC0415

    from worker.cli.tables import (  # noqa: PLC0415
        budget_table,
        partner_table,
        sink_table,
        stage_table,
        worker_table,
    )

    lines = [f"account {snapshot.account}: slots {snapshot.slots_used}/{snapshot.slots_cap}, {snapshot.leases} at work"]
    if snapshot.paused_reason:
        lines.append(f"PAUSED: {snapshot.paused_reason}")
    if snapshot.hold_ms:
        lines.append(f"budgets count as spent for {snapshot.hold_ms / 1000:.0f} s more: Redis has restarted")
    if not snapshot.workers:
        lines.append("no workers: start one with `stagecrew worker`")
    elif snapshot.leader is None:
        lines.append("no worker leads just now; one takes over within seconds")
    parts: list[RenderableType] = [Text("\n".join(lines)), "", stage_table(snapshot), "", budget_table(snapshot)]
    if snapshot.partners:
        parts += ["", partner_table(snapshot)]
    if snapshot.workers:
        parts += ["", worker_table(snapshot)]
    if snapshot.sinks:
        parts += ["", sink_table(snapshot)]
    return Group(*parts)


def _photos(context: typer.Context, listing: str, photo: str | None, *, as_json: bool) -> None:
    from worker.cli.tables import photo_table  # noqa: PLC0415 - as above

    found = with_ledger(context, lambda ledger: ledger.listing(listing))
    views = [view for view in found if photo in (None, view.photo_id)]
    if not views:
        what = f"photo {photo!r} of listing {listing!r}" if photo is not None else f"listing {listing!r}"
        kept = "rows of ended listings are kept for STAGECREW_RETENTION_DAYS"
        stop(f"the ledger knows no {what} ({kept})", exits.TROUBLE)
    if as_json:
        say(json.dumps(jsonable(views)))
    else:
        console().print(photo_table(views))
