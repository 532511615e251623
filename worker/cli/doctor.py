"""`stagecrew doctor`: asks every part and says how it is, with cause and remedy."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import exits
from worker.cli.doors import Doors, doors_of, reachable
from worker.cli.terminal import console, harmless, say

if TYPE_CHECKING:
    from config.settings import Settings
    from worker.cli.finding import Finding


def doctor(
    context: typer.Context,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ask every part how it is: settings, Redis, broker, storage, API, webhooks, workers, photos. Exit 1: one is bad.

    It changes nothing: the store gets an object and loses it again, the gateway a webhook that says nothing.
    """
    from config.settings import SettingsError  # noqa: PLC0415 - `--help` must not wait for it
    from worker.cli import checks  # noqa: PLC0415
    from worker.cli.finding import Check, Mark, bad, closing, lines, note, ok, report  # noqa: PLC0415

    findings = [checks.python()]
    try:
        settings = doors_of(context).load_settings()
    except SettingsError as error:
        findings += [bad(Check.SETTINGS, line, "see docs/settings.md") for line in str(error).splitlines()]
    else:
        findings.append(ok(Check.SETTINGS, "all can be used"))
        findings += [note(Check.SETTINGS, doubt) for doubt in settings.origin.doubts]
        with reachable(settings) as found:
            findings += asyncio.run(_ask(doors_of(context), found))
    if as_json:
        say(json.dumps(report(findings)))
    else:
        columns = console().width if sys.stdout.isatty() else None
        for finding in findings:
            say("\n".join(harmless(line) for line in lines(finding, columns).splitlines()))
        say(closing(findings))
    if any(finding.mark is Mark.BAD for finding in findings):
        raise typer.Exit(exits.TROUBLE)


async def _ask(doors: Doors, settings: Settings) -> list[Finding]:
    from config.accounts import accounts_of, settings_for  # noqa: PLC0415 - as above
    from worker.cli import checks  # noqa: PLC0415
    from worker.cli.finding import Check, Mark  # noqa: PLC0415
    from worker.cli.webhook_check import webhooks  # noqa: PLC0415
    from worker.services import webhook_url_of  # noqa: PLC0415

    findings = await doors.check_redis(settings)
    redis_is_well = all(finding.mark is not Mark.BAD or finding.check is not Check.REDIS for finding in findings)
    resolved = accounts_of(settings)
    accounts = {name: settings_for(settings, name) for name in resolved}
    # An account is named where there are several.
    named = {name: name if len(accounts) > 1 else "" for name in accounts}
    for name, own in accounts.items() if redis_is_well else ():
        findings += _of(named[name], await _ledger(doors, own))
    findings.append(await asyncio.to_thread(checks.broker, settings))
    findings += await checks.sinks(settings)
    for name, own in accounts.items():
        secrets = [secret.get_secret_value() for secret in resolved[name].webhook_secrets]
        findings += _of(named[name], await webhooks(webhook_url_of(own), secrets))
        findings += _of(named[name], [await checks.storage(own), await checks.api(own)])
    return findings


async def _ledger(doors: Doors, settings: Settings) -> list[Finding]:
    from redis.exceptions import RedisError  # noqa: PLC0415 - as above

    from worker.cli import checks  # noqa: PLC0415
    from worker.cli.finding import Check, bad  # noqa: PLC0415

    try:
        async with doors.open_ledger(settings) as ledger:
            snapshot = await ledger.snapshot()
        found = [*checks.fleet(snapshot), *checks.outboxes(snapshot)]
        # Without workers, or while nothing may go, everything is late, and why has been said.
        return found if not snapshot.workers or snapshot.halted else [*found, *await doors.check_stuck(settings)]
    except (RedisError, OSError) as error:
        return [bad(Check.LEDGER, type(error).__name__, "look at Redis's log")]


def _of(account: str, findings: Iterable[Finding]) -> list[Finding]:
    return [replace(finding, account=account) for finding in findings]
