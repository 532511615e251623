"""`stagecrew forecast`: when the photos that wait will be done, and what if the limits were others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from worker.cli.accounts import AccountOption, with_ledgers
from worker.cli.doors import AccountPort
from worker.cli.terminal import console, count, duration, say

if TYPE_CHECKING:
    from worker.flow.outlook import Prospect

    #: What those may expect that have turns, and the photos of each partner that has none.
    _Look: TypeAlias = tuple[Prospect, dict[str, int]]

_BOUNDS = {
    "slots": "the jobs in flight",
    "creates": "the creates a minute",
    "sources": "the sources taken in a minute",
}


def forecast(
    context: typer.Context,
    *,
    photos: Annotated[int, typer.Option(min=0, help="So many photos more, behind those that wait.")] = 0,
    in_flight: Annotated[int | None, typer.Option(min=1, help="As if so many jobs might be in flight.")] = None,
    creates: Annotated[float | None, typer.Option(min=0.1, help="As if so many creates a minute were allowed.")] = None,
    sources: Annotated[float | None, typer.Option(min=0.1, help="As if so many sources a minute were.")] = None,
    job_seconds: Annotated[
        float | None, typer.Option(min=0.1, help="As if a job took so long; learnt from jobs that ended otherwise.")
    ] = None,
    account: AccountOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say when the photos that wait will be done: by the limits, the learnt durations and the order of turns.

    It counts on full slots and leaves troubles out, and the turn in four that goes to the longest wait. Photos of
    whoever is paused or at a cap have no turns: they are told apart, and no time is promised to them.
    """

    async def work(ledgers: Mapping[str, AccountPort]) -> dict[str, _Look]:
        return {name: await _look(ledger) for name, ledger in ledgers.items()}

    now = with_ledgers(context, account, work)
    then = {
        name: prospect.given(in_flight=in_flight, creates_a_minute=creates, sources_a_minute=sources, job_s=job_seconds)
        for name, (prospect, _) in now.items()
    }
    if as_json:
        found = {name: _as_json(prospect, photos, now[name][1]) for name, prospect in then.items()}
        say(json.dumps(found if len(found) > 1 else next(iter(found.values()))))
        return
    for name, prospect in then.items():
        _print(name, prospect, photos, now[name])


async def _look(ledger: AccountPort) -> _Look:
    """Return what those may expect that have turns, and how many photos of others wait."""
    prospect, snapshot = await ledger.prospect(), await ledger.snapshot()
    held = snapshot.without_turns(some.partner for some in prospect.waiting)
    return prospect.without(held), prospect.photos_of(held)


def _print(name: str, prospect: Prospect, photos: int, now: _Look) -> None:
    from worker.cli.tables import outlook_table  # noqa: PLC0415 - `--help` must not wait for rich

    rates = prospect.rates
    job = f"jobs of {duration(rates.job_ms / 1000)} in the mean ({'learnt' if prospect.learnt else 'assumed'})"
    if prospect != now[0]:
        name += ", as if"
    say(f"account {name}: {rates.in_flight} in flight, {rates.creates_a_ms * 60_000:g} creates a minute, {job}")
    say(f"{rates.photos_a_ms * 3_600_000:,.0f} photos an hour; what bounds it: {_BOUNDS[rates.bound]}")
    waiting = sum(some.photos for some in prospect.waiting)
    if waiting:
        console().print(outlook_table(prospect))
    say(f"{count(waiting, 'photo')} waiting: done in {duration(prospect.done_ms(waiting) / 1000)}")
    if held := sum(now[1].values()):
        say(f"{count(held, 'photo')} of partners without turns, paused or at a cap: `stagecrew status` says why")
    if photos:
        done_ms = prospect.done_ms(waiting + photos)
        say(f"{count(photos, 'photo')} more behind them: done in {duration(done_ms / 1000)}")


def _as_json(prospect: Prospect, photos: int, no_turns: Mapping[str, int]) -> dict[str, Any]:
    waiting = sum(some.photos for some in prospect.waiting)
    return {
        "photos_an_hour": prospect.rates.photos_a_ms * 3_600_000,
        "bound": prospect.rates.bound,
        "in_flight": prospect.rates.in_flight,
        "job_s": prospect.rates.job_ms / 1000,
        "job_learnt": prospect.learnt,
        "waiting": waiting,
        "done_s": prospect.done_ms(waiting) / 1000,
        "more": photos,
        "more_done_s": prospect.done_ms(waiting + photos) / 1000,
        "partners": {
            partner: {"share": outlook.share, "done_s": outlook.done_ms / 1000}
            for partner, outlook in prospect.partners().items()
        },
        "no_turns": dict(no_turns),
    }
