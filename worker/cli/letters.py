"""Dead letters: messages that a sink refused, or that failed too often. Listed, sent again, or dropped."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from worker.cli import exits
from worker.cli.doors import LedgerPort, with_ledger
from worker.cli.terminal import console, count, say, stop

if TYPE_CHECKING:
    from collections.abc import Sequence

    import typer

    from worker.ledger.outbox import DeadLetter
    from worker.ledger.snapshot import SinkView


def dead_letters(context: typer.Context, sink: str, *, forget: bool, as_json: bool, limit: int) -> None:
    """List a sink's dead letters, the newest first; with `forget`, drop them."""
    if forget:
        _forget(context, sink)
        return

    async def work(ledger: LedgerPort) -> list[DeadLetter]:
        await _sink(ledger, sink)
        return await ledger.outbox.dead(sink, limit=limit)

    letters = with_ledger(context, work)
    if as_json:
        say(json.dumps([_plain(letter) for letter in letters]))
    elif not letters:
        say(f"{sink} has no dead letters")
    else:
        from worker.cli.tables import letter_table  # noqa: PLC0415 - `--help` must not wait for it

        console().print(letter_table([_plain(letter) for letter in letters]))
        say(f"{count(len(letters), 'dead letter')}; `stagecrew replay --sink {sink}` sends them again")


def replay_letters(context: typer.Context, sink: str, listings: Sequence[str]) -> None:
    """Send a sink's dead letters again, all or those of `listings`."""

    async def work(ledger: LedgerPort) -> int:
        if not (await _sink(ledger, sink)).configured:
            stop(f"{sink} is not in STAGECREW_COMPLETIONS_URL, so nothing is delivered to it; put it back first")
        return await ledger.outbox.replay(sink, listings=listings)

    sent = with_ledger(context, work)
    say(f"{count(sent, 'message')} sent to {sink} again, each after what its listing has waiting")
    if listings and not sent:
        stop("there are no dead letters of these listings", exits.TROUBLE)


def _forget(context: typer.Context, sink: str) -> None:
    async def work(ledger: LedgerPort) -> tuple[int, bool]:
        configured = (await _sink(ledger, sink)).configured
        return await ledger.outbox.forget(sink, waiting=not configured), configured

    dropped, configured = with_ledger(context, work)
    say(f"{count(dropped, 'message')} dropped{'' if configured else f'; {sink} is forgotten'}")


async def _sink(ledger: LedgerPort, name: str) -> SinkView:
    """Return a sink by its name, or end the command with the names that there are."""
    sinks = (await ledger.snapshot()).sinks
    for sink in sinks:
        if sink.name == name:
            return sink
    names = ", ".join(sink.name for sink in sinks) or "none but the stream, which keeps all its messages"
    return stop(f"there is no sink {name}; there is {names}")


def _plain(letter: DeadLetter) -> dict[str, object]:
    event = json.loads(letter.event)
    return {
        "dead_ms": letter.dead_ms,
        "subject": event.get("subject"),
        "type": event.get("type"),
        "id": event.get("id"),
        "tries": letter.tries,
        "reason": letter.reason,
        "event": event,
    }
