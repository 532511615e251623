"""Dead letters: messages that a sink refused, or that failed too often. Listed, sent again, or dropped."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from worker.cli import exits
from worker.cli.accounts import with_ledgers
from worker.cli.terminal import console, count, say, stop

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import typer

    from worker.cli.doors import AccountPort
    from worker.ledger.outbox import DeadLetter


def dead_letters(
    context: typer.Context, account: str | None, sink: str, *, forget: bool, as_json: bool, limit: int
) -> None:
    """List a sink's dead letters, the newest first; with `forget`, drop them."""
    if forget:
        _forget(context, account, sink)
        return

    async def work(ledgers: Mapping[str, AccountPort]) -> list[DeadLetter]:
        await _configured(ledgers, sink)
        found = [letter for ledger in ledgers.values() for letter in await ledger.outbox.dead(sink, limit=limit)]
        return sorted(found, key=lambda letter: -letter.dead_ms)[:limit]

    letters = with_ledgers(context, account, work)
    if as_json:
        say(json.dumps([_plain(letter) for letter in letters]))
    elif not letters:
        say(f"{sink} has no dead letters")
    else:
        from worker.cli.tables import letter_table  # noqa: PLC0415 - `--help` must not wait for it

        console().print(letter_table([_plain(letter) for letter in letters]))
        say(f"{count(len(letters), 'dead letter')}; `stagecrew replay --sink {sink}` sends them again")


def replay_letters(context: typer.Context, account: str | None, sink: str, listings: Sequence[str]) -> None:
    """Send a sink's dead letters again, all or those of `listings`."""

    async def work(ledgers: Mapping[str, AccountPort]) -> int:
        if not await _configured(ledgers, sink):
            stop(f"{sink} is not in STAGECREW_COMPLETIONS_URL, so nothing is delivered to it; put it back first")
        return sum([await ledger.outbox.replay(sink, listings=listings) for ledger in ledgers.values()])

    sent = with_ledgers(context, account, work)
    if not sent:
        whose = "of these listings" if listings else f"of {sink}"
        stop(f"there are no dead letters {whose}", exits.TROUBLE if listings else exits.OK)
    say(f"{count(sent, 'message')} sent to {sink} again, each after what its listing has waiting")


def _forget(context: typer.Context, account: str | None, sink: str) -> None:
    async def work(ledgers: Mapping[str, AccountPort]) -> tuple[int, bool]:
        configured = await _configured(ledgers, sink)
        gone = [await ledger.outbox.forget(sink, waiting=not configured) for ledger in ledgers.values()]
        return sum(gone), configured

    dropped, configured = with_ledgers(context, account, work)
    say(f"{count(dropped, 'message')} dropped{'' if configured else f'; {sink} is forgotten'}")


async def _configured(ledgers: Mapping[str, AccountPort], name: str) -> bool:
    """Return whether a sink is in the settings; one that nobody knows ends the command with those that there are."""
    known = {sink.name: sink.configured for ledger in ledgers.values() for sink in (await ledger.snapshot()).sinks}
    if name in known:
        return known[name]
    names = ", ".join(known) or "none but the stream, which keeps all its messages"
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
