"""What the commands share that ask something of photos: which photos are meant, and a yes before what costs.

The commands are `regenerate`, `cancel`, `pause` and `resume`; what they ask is in `worker/ledger/control.py` and
`worker/ledger/pausing.py`.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import typer

from worker.cli.doors import LedgerPort, jsonable, settings_of, with_ledger
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
    """The open ledger, and the store where it is needed."""

    ledger: Ledger
    #: Opens the store; ends the command with a line when it can't be used.
    open_store: Callable[[], ObjectStore]


def steer(context: typer.Context, work: Callable[[Steering], Awaitable[T]]) -> T:
    """Run `work` on the open ledger; troubles end the command with a line that says which and what to do."""
    settings = settings_of(context)

    def opened() -> ObjectStore:
        from worker.storage.errors import StoreError  # noqa: PLC0415 - half a second that `--help` must not pay
        from worker.storage.store import open_store  # noqa: PLC0415

        try:
            return open_store(settings.storage_url)
        except StoreError as error:
            stop(str(error))

    async def on(ledger: LedgerPort) -> T:
        from worker.ledger.ledger import Ledger  # noqa: PLC0415 - as above
        from worker.storage.errors import StoreError  # noqa: PLC0415

        assert isinstance(ledger, Ledger)
        try:
            return await work(Steering(ledger=ledger, open_store=opened))
        except StoreError as error:
            stop(str(error))

    return with_ledger(context, on)


async def meant(ledger: LedgerPort, names: Iterable[str]) -> tuple[dict[PhotoName, PhotoView], list[str]]:
    """Return the photos that names stand for, and the names that nothing in the ledger answers to."""
    found: dict[PhotoName, PhotoView] = {}
    unknown = []
    for name in names:
        views = await named(ledger, name)
        found |= {(view.listing_id, view.photo_id): view for view in views}
        unknown += [] if views else [name]
    return found, unknown


async def many(ledger: Ledger, stages: Collection[Stage], partners: Sequence[str] | None) -> dict[PhotoName, Stage]:
    """Return the photos in some stages, of some partners or (None) of all."""
    from worker.ledger.search import find_photos  # noqa: PLC0415 - as above

    found: dict[PhotoName, Stage] = {}
    for partner in [None] if partners is None else partners:
        found |= {name: stage async for name, stage in find_photos(ledger, stages=stages, partner=partner)}
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
    where: str = "the ledger knows",
) -> Counter[str]:
    """Print what became of photos, by verdict; return how many had which.

    `words`: what each verdict means; `unknown`: names that nothing answers to; `lines`: what else was done.
    """
    verdicts = Counter(str(answer.verdict) for answer in answers)
    if as_json:
        say(json.dumps({"photos": jsonable(list(answers)), "done": list(lines), "unknown": list(unknown)}))
        return verdicts
    for line in lines:
        say(harmless(line))
    for verdict, meaning in words.items():
        some = [answer for answer in answers if str(answer.verdict) == verdict]
        if not some:
            continue
        say(f"{count(len(some), 'photo')} {meaning}")
        if len(answers) <= _NAMED:
            for answer in some:
                say(harmless(f"  {answer.listing_id}/{answer.photo_id}{f' ({answer.stage})' if answer.stage else ''}"))
    for name in unknown:
        complain(harmless(f"{name}: {where} no such listing or photo"))
    return verdicts
