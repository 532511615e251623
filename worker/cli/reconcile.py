"""`stagecrew reconcile`: holds the API's billing ledger against what was staged."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from worker.cli import exits
from worker.cli.api_doors import OneAccount, with_services
from worker.cli.terminal import complain, console, count, harmless, say, stop

if TYPE_CHECKING:
    from worker.core.reconcile import Report
    from worker.services import Services


#: Partners that are named to whoever meant another.
_NAMED: Final = 20


class Format(StrEnum):
    """How the result is printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def reconcile(
    context: typer.Context,
    *,
    since: Annotated[
        str | None,
        typer.Option(help="From when: 2026-03-01, a full time, or 30d ago; unless given the billing period's start."),
    ] = None,
    until: Annotated[str | None, typer.Option(help="Until before when; unless given everything.")] = None,
    partner: Annotated[str | None, typer.Option(help="This partner's bills only.")] = None,
    account: OneAccount = None,
    form: Annotated[Format, typer.Option("--format", help="How to print it.")] = Format.TABLE,
) -> None:
    """Hold every bill against the photo it is for, and sum them up by partner and listing.

    Exit 1 when something does not add up: a bill without a photo of ours, a photo that was billed and not staged, or
    one that was billed twice. It only reads; broken off, it goes on where it was.
    """
    report = with_services(context, lambda services: _report(services, since, until, partner), account=account)
    from worker.cli.bills_shown import as_csv, as_json, as_table  # noqa: PLC0415 - `--help` must not wait for it

    if form is Format.CSV:
        say(as_csv(report))
    elif form is Format.JSON:
        say(as_json(report))
    else:
        console().print(as_table(report))
    if not report.adds_up:
        complain(f"{count(len(report.troubles), 'bill')} that somebody should look at")
        raise typer.Exit(exits.TROUBLE)
    if form is Format.TABLE:
        say("everything adds up")


async def _report(services: Services, since: str | None, until: str | None, partner: str | None) -> Report:
    from worker.core.moments import moment_ms, parse_ms  # noqa: PLC0415 - as above
    from worker.ledger.bought import DAY_MS  # noqa: PLC0415
    from worker.pipeline.billing import reconciled  # noqa: PLC0415
    from worker.pipeline.upkeep import FAR_MS  # noqa: PLC0415

    at_ms = await services.account.scripts.now_ms()
    try:
        since_ms = moment_ms(since, at_ms) if since else None
        until_ms = moment_ms(until, at_ms) if until else FAR_MS
    except ValueError as error:
        stop(str(error))
    if since_ms is None:
        usage = await services.account.usage.last()
        since_ms = (parse_ms(usage.summary.period_start) if usage else None) or at_ms - 30 * DAY_MS
    if since_ms >= until_ms:
        stop("--since must be before --until")
    report = await reconciled(services, since_ms=since_ms, until_ms=until_ms, now_ms=at_ms, partner=partner)
    if partner is not None and not report.entries:
        await _must_be_known(services, partner, report)
    return report


async def _must_be_known(services: Services, partner: str, report: Report) -> None:
    """End the command when nobody knows the partner: a name that is misspelt would seem to owe nothing."""
    known = report.known_partners | (await services.ledger.snapshot()).partners.keys()
    if partner not in known:
        names = ", ".join(sorted(known)[:_NAMED]) + (", ..." if len(known) > _NAMED else "")
        stop(harmless(f"no partner {partner} is known; there are: {names or 'none yet'}"))
