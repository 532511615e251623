"""`stagecrew enqueue`: hands photos to the fleet; bad records are reported by line and field, the good ones go on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import exits
from worker.cli.accounts import Ledgers, routes_of, with_ledgers
from worker.cli.doors import LedgerPort, settings_of
from worker.cli.dry_run import dry_run
from worker.cli.terminal import complain, count, say

if TYPE_CHECKING:
    from worker.core.photo import NewListing
    from worker.ledger.snapshot import Enqueued

#: What each verdict means, for people; the words are those of `worker.ledger.snapshot.Verdict`.
_MEANING = {
    "accepted": "new: will be staged",
    "same": "known already: nothing changed",
    "revised": "another request than before: will be staged anew",
    "queued_revision": "another request than before: follows the job that is paid for",
    "held": "failed, uncertain or parked before: `stagecrew failed` says why; then `replay` or `resume`",
}


def enqueue(
    context: typer.Context,
    *,
    sources: Annotated[
        list[str], typer.Argument(metavar="FILE", help="JSON Lines, CSV or a folder of pictures; - is standard input.")
    ],
    account: Annotated[
        str | None,
        typer.Option(
            "--account", metavar="NAME", help="Whose they are; unless given, the record says it, or its partner."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
    dry: Annotated[
        bool, typer.Option("--dry-run", help="Only say how many are new or changed, and what they would cost.")
    ] = False,
) -> None:
    """Hand photos to the fleet. The same record again changes nothing, so sending it twice is safe."""
    from worker.cli.intake import Reading, enqueue_all  # noqa: PLC0415 - `--help` must not wait for it

    routes = routes_of(settings_of(context))
    reading = Reading(sources=sources, report=complain, routes=routes, account=account)
    if dry:
        dry_run(context, reading, as_json=as_json)
        if reading.bad:
            raise typer.Exit(exits.TROUBLE)
        return
    verdicts: Counter[str] = Counter()

    def counted(_some: list[NewListing], answers: list[Enqueued]) -> None:
        verdicts.update(str(answer.verdict) for answer in answers)

    async def work(ledgers: Mapping[str, LedgerPort]) -> None:
        await enqueue_all(Ledgers(ledgers), reading, counted)

    with_ledgers(context, account, work)
    if as_json:
        counts = {verdict: verdicts.get(verdict, 0) for verdict in _MEANING}
        say(json.dumps({"listings": reading.listings, "photos": counts, "bad_records": reading.bad}))
    else:
        say(f"{count(sum(verdicts.values()), 'photo')} of {count(reading.listings, 'listing')}")
        for verdict, meaning in _MEANING.items():
            if verdicts.get(verdict):
                say(f"  {verdicts[verdict]:>7,}  {verdict:<16} {meaning}")
        if reading.bad:
            complain(f"{count(len(reading.bad), 'bad record')} left out; correct and send them again")
    if reading.bad:
        raise typer.Exit(exits.TROUBLE)
