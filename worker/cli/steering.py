"""What the commands share that ask something of photos: which photos are meant, and a yes before what costs.

The commands are `regenerate`, `cancel`, `pause` and `resume`; what they ask is in `worker/ledger/control.py` and
`worker/ledger/pausing.py`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

import typer

from worker.cli.accounts import with_ledgers
from worker.cli.doors import LedgerPort, jsonable, settings_of
from worker.cli.naming import named
from worker.cli.terminal import complain, count, harmless, say, stop

if TYPE_CHECKING:
    from worker.core.photo import Stage
    from worker.ledger.ledger import Ledger
    from worker.ledger.snapshot import PhotoView
    from worker.ledger.verdicts import PhotoName
    from worker.storage.store import ObjectStore

T = TypeVar("T")

#: Photos named one by one in an answer; of more only the numbers are said.
_NAMED: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Steering:
    """The open ledgers of the accounts that are meant, by name; and their stores, where they are needed."""

    ledgers: Mapping[str, Ledger]
    #: Opens an account's store; ends the command with a line when it can't be used.
    open_store: Callable[[str], ObjectStore]


@dataclass(slots=True, kw_only=True)
class Meant:
    """The photos that names stand for, by account; and the names that nothing in a ledger answers to."""

    photos: dict[str, dict[PhotoName, PhotoView]] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)


def steer(context: typer.Context, account: str | None, work: Callable[[Steering], Awaitable[T]]) -> T:
    """Run `work` on the open ledgers; troubles end the command with a line that says which and what to do."""
    from config.accounts import settings_for  # noqa: PLC0415 - half a second that `--help` must not pay
    from worker.ledger.ledger import Ledger  # noqa: PLC0415
    from worker.storage.errors import StoreError  # noqa: PLC0415
    from worker.storage.store import open_store  # noqa: PLC0415

    settings = settings_of(context)

    async def on(ledgers: Mapping[str, LedgerPort]) -> T:
        real = {name: ledger for name, ledger in ledgers.items() if isinstance(ledger, Ledger)}
        opened = Steering(ledgers=real, open_store=lambda name: open_store(settings_for(settings, name).storage_url))
        try:
            return await work(opened)
        except StoreError as error:
            stop(str(error))

    return with_ledgers(context, account, on)


async def meant(ledgers: Mapping[str, Ledger], names: Iterable[str]) -> Meant:
    """Return the photos that names stand for. One that several accounts have ends the command: nothing is guessed."""
    found = Meant()
    for name in names:
        owners = {account: views for account, ledger in ledgers.items() if (views := await named(ledger, name))}
        if not owners:
            found.unknown.append(name)
        for account in only_one(name, list(owners)):
            photos = {(view.listing_id, view.photo_id): view for view in owners[account]}
            found.photos.setdefault(account, {}).update(photos)
    return found


def only_one(name: str, owners: Sequence[str]) -> Sequence[str]:
    """Return the account that has `name`, or none; several end the command."""
    if len(owners) > 1:
        stop(harmless(f"{name}: accounts {', '.join(owners)} have one; say which with --account"))
    return owners


async def many(
    ledgers: Mapping[str, Ledger], stages: Collection[Stage], partners: Sequence[str] | None
) -> dict[str, dict[PhotoName, Stage]]:
    """Return the photos in some stages, of some partners or (None) of all, by account."""
    from worker.ledger.search import find_photos  # noqa: PLC0415 - as above

    found: dict[str, dict[PhotoName, Stage]] = {}
    for account, ledger in ledgers.items():
        for partner in [None] if partners is None else partners:
            photos = {name: stage async for name, stage in find_photos(ledger, stages=stages, partner=partner)}
            found.setdefault(account, {}).update(photos)
    return found


def agree(question: str, *, yes: bool) -> None:
    """Go on only when the user says so; without a terminal `--yes` has to."""
    if yes:
        return
    if not sys.stdin.isatty():
        stop(f"{question}: say --yes to go on")
    typer.confirm(question, abort=True)


def tell(
    answers: Sequence[Any],
    words: Mapping[str, str],
    unknown: Sequence[str],
    *,
    as_json: bool,
    lines: Sequence[str] = (),
    where: str = "the ledger knows no such listing or photo",
) -> None:
    """Print what became of photos, by verdict.

    `words`: what each verdict means; `unknown`: names that nothing answers to; `lines`: what else was done.
    """
    if as_json:
        say(json.dumps({"photos": jsonable(list(answers)), "done": list(lines), "unknown": list(unknown)}))
        return
    for line in lines:
        say(harmless(line))
    shown = _names if len(answers) <= _NAMED else (lambda _: ())
    for verdict, meaning in words.items():
        if some := [answer for answer in answers if str(answer.verdict) == verdict]:
            say(f"{count(len(some), 'photo')} {meaning}")
            for line in shown(some):
                say(line)
    for name in unknown:
        complain(harmless(f"{name}: {where}"))


def _names(answers: Iterable[Any]) -> Iterable[str]:
    for answer in answers:
        account = "" if answer.account == "default" else f"{answer.account}: "
        stage = f" ({answer.stage})" if answer.stage else ""
        yield harmless(f"  {account}{answer.listing_id}/{answer.photo_id}{stage}")
