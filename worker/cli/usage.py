"""`stagecrew usage`: what the organisation may use, has used, and what is left, read now."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli import exits
from worker.cli.api_doors import OneAccount, with_services
from worker.cli.terminal import console, say

if TYPE_CHECKING:
    from worker.ledger.snapshot import Snapshot
    from worker.ledger.usage import UsageRead
    from worker.services import Services


def usage(
    context: typer.Context,
    *,
    account: OneAccount = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, the API's own answer in it.")] = False,
) -> None:
    """Show entitlement, period, allowance, jobs and limits, and what was bought today. Exit 1 when use is forbidden."""
    found, snapshot = with_services(context, _read, account=account)
    if as_json:
        say(json.dumps(plain(found, snapshot)))
    else:
        _show(found, snapshot)
    if found.summary.enabled is False:
        raise typer.Exit(exits.TROUBLE)


async def _read(services: Services) -> tuple[UsageRead, Snapshot]:
    from worker.pipeline.reads import read_usage  # noqa: PLC0415 - `--help` must not wait for it

    found = await read_usage(services, probe=True)
    return found, await services.ledger.snapshot()


def plain(found: UsageRead, snapshot: Snapshot) -> dict[str, Any]:
    """Return the summary as JSON data; numbers keep their digits as text, and what is not known is null."""
    from worker.core.events import timestamp  # noqa: PLC0415 - as above
    from worker.ledger.usage import remaining  # noqa: PLC0415

    summary, left = found.summary, remaining(found.summary)
    return {
        "account": snapshot.account,
        "read_at": timestamp(found.read_ms),
        "enabled": summary.enabled,
        "period": {"start": summary.period_start, "end": summary.period_end},
        "usage": {name: str(number) for name, number in summary.usage.items()},
        "remaining": None if left is None else str(left),
        "jobs": {name: str(number) for name, number in summary.jobs.items()},
        "limits": dict(summary.rate_limits),
        "bought_today": snapshot.bought_today,
        "capped": [view.describe() for view in snapshot.capped],
        "answer": json.loads(json.dumps(dict(summary.raw), default=str)),
    }


def _show(found: UsageRead, snapshot: Snapshot) -> None:
    from worker.cli.tables import ROUTES, facts_table  # noqa: PLC0415 - as above
    from worker.ledger.usage import remaining  # noqa: PLC0415

    summary, left = found.summary, remaining(found.summary)
    words = {True: "yes", False: "NO: the API says that the organisation may not use it", None: "the API does not say"}
    facts = [("account", snapshot.account), ("may use the API", words[summary.enabled])]
    if summary.period_start or summary.period_end:
        facts.append(("billing period", f"{summary.period_start or '?'} to {summary.period_end or '?'}"))
    facts += [(name, _number(number)) for name, number in summary.usage.items()]
    if left is not None and "remaining" not in summary.usage:
        facts.append(("remaining", _number(left)))
    facts += [(f"jobs {name.replace('_', ' ')}", _number(number)) for name, number in summary.jobs.items()]
    facts += [
        (f"limit: {ROUTES.get(name, name).replace('_', ' ')}", text) for name, text in summary.rate_limits.items()
    ]
    facts.append(("bought by stagecrew today (UTC)", f"{snapshot.bought_today:,}"))
    console().print(facts_table(facts))
    for view in snapshot.capped:
        say(f"CAPPED: {view.describe()}")


def _number(number: Decimal) -> str:
    return f"{number:,}" if number == number.to_integral_value() else f"{number:,f}"
