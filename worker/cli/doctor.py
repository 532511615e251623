"""`stagecrew doctor`: asks every part and prints a line each, with cause and remedy."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import exits
from worker.cli.doors import Doors, doors_of, jsonable, reachable
from worker.cli.terminal import harmless, say

if TYPE_CHECKING:
    from config.settings import Settings
    from worker.cli.checks import Finding


def doctor(
    context: typer.Context,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ask every part how it is: settings, Redis, broker, storage, API, workers, photos. Exit 1 when one is bad."""
    from config.settings import SettingsError  # noqa: PLC0415 - `--help` must not wait for it
    from worker.cli import checks  # noqa: PLC0415

    findings = [checks.python()]
    try:
        settings = doors_of(context).load_settings()
    except SettingsError as error:
        findings += [checks.bad("settings", line, "see docs/settings.md") for line in str(error).splitlines()]
    else:
        findings.append(checks.ok("settings", "all can be used"))
        findings += [checks.note("settings", doubt) for doubt in settings.origin.doubts]
        with reachable(settings) as found:
            findings += asyncio.run(_ask(doors_of(context), found))
    if as_json:
        say(json.dumps(jsonable(findings)))
    else:
        for finding in findings:
            say(harmless(str(finding)))
    if any(finding.mark is checks.Mark.BAD for finding in findings):
        raise typer.Exit(exits.TROUBLE)


async def _ask(doors: Doors, settings: Settings) -> list[Finding]:
    from redis.exceptions import RedisError  # noqa: PLC0415 - as above

    from config.accounts import accounts_of, settings_for  # noqa: PLC0415
    from worker.cli import checks  # noqa: PLC0415

    findings = await doors.check_redis(settings)
    redis_is_well = all(finding.mark is not checks.Mark.BAD or finding.part != "redis" for finding in findings)
    resolved = accounts_of(settings)
    accounts = {name: settings_for(settings, name) for name in resolved}
    secrets = {name: bool(account.webhook_secrets) for name, account in resolved.items()}
    # An account is named where there are several.
    named = {name: f"{name}: " if len(accounts) > 1 else "" for name in accounts}
    for name, own in accounts.items() if redis_is_well else ():
        try:
            async with doors.open_ledger(own) as ledger:
                snapshot = await ledger.snapshot()
            findings += _of(named[name], [*checks.fleet(snapshot), *checks.outboxes(snapshot)])
        except RedisError as error:
            findings += _of(named[name], [checks.bad("ledger", type(error).__name__, "look at Redis's log")])
    findings.append(await asyncio.to_thread(checks.broker, settings))
    findings += await checks.sinks(settings)
    for name, own in accounts.items():
        findings += _of(named[name], checks.webhooks(own.webhook_public_url, has_secret=secrets[name]))
        findings += _of(named[name], [await checks.storage(own), await checks.api(own)])
    return findings


def _of(account: str, findings: Iterable[Finding]) -> list[Finding]:
    return [replace(finding, part=f"{account}{finding.part}") for finding in findings]
