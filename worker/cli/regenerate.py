"""`stagecrew regenerate`: another picture of staged photos; each is another job, which is billed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from worker.cli import exits
from worker.cli.accounts import AccountOption
from worker.cli.naming import ways_to_part
from worker.cli.steering import Steering, agree, many, meant, only_one, steer, tell
from worker.cli.terminal import count, say, stop

if TYPE_CHECKING:
    from worker.ledger.snapshot import PhotoView
    from worker.ledger.verdicts import PhotoName, Regenerated
    from worker.storage.store import ObjectStore

#: Names that are read from a file at once; a hundred thousand of usual length.
MAX_NAMES_BYTES: Final = 16 * 1024 * 1024
#: What each verdict means, for people; the words are those of `worker.ledger.verdicts.RegenerateVerdict`.
_MEANING: Final = {
    "asked": "waiting for another picture; each is a job that is billed",
    "on_its_way": "left alone: another picture is being made already",
    "there": "left alone: that picture is there already",
    "not_staged": "left alone: not staged, so there is nothing to make another picture of",
    "unknown": "left alone: known neither to the ledger nor to the store",
}


def regenerate(
    context: typer.Context,
    *,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[LISTING[/PHOTO]]", help="Photos, or listings with all their staged ones."),
    ] = None,
    account: AccountOption = None,
    file: Annotated[
        str | None, typer.Option("--file", metavar="FILE", help="Names from a file, one a line; - is standard input.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All staged photos that the ledger knows.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask before more than one job is bought.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answers as JSON.")] = False,
) -> None:
    """Have another picture made of photos that are staged. Each is another job and is billed as one.

    The pictures that there are stay, and `latest.json` says which is the latest. Asking again while one is being made
    buys no second.
    """
    wanted = [*(names or []), *(_lines(file) if file is not None else [])]
    if bool(wanted) == everything:
        stop("say what to regenerate: LISTING/PHOTO, LISTING, --file FILE, or --all")

    async def work(on: Steering) -> tuple[Sequence[Regenerated], list[str]]:
        from worker.core.photo import Stage  # noqa: PLC0415 - `--help` must not wait for it
        from worker.ledger.control import Control  # noqa: PLC0415

        photos: dict[str, list[PhotoName]]
        unknown: list[str] = []
        stores: dict[str, ObjectStore] = {}
        if everything:
            photos = {account: list(found) for account, found in (await many(on.ledgers, {Stage.DONE}, None)).items()}
            jobs = sum(map(len, photos.values()))
        else:
            found = await meant(on.ledgers, wanted)
            photos = {account: list(views) for account, views in found.photos.items()}
            jobs = sum(_can_be_made(view) for views in found.photos.values() for view in views.values())
            stores = {account: on.open_store(account) for account in on.ledgers} if found.unknown else {}
            for name in found.unknown:
                owners = {account: kept for account, store in stores.items() if (kept := await _in_store(store, name))}
                for owner in only_one(name, list(owners)):
                    photos.setdefault(owner, []).append(owners[owner])
                    jobs += 1
                unknown += [] if owners else [name]
        if jobs > 1:
            agree(f"up to {count(jobs, 'new job')}, each of which is billed", yes=yes)
        answers: list[Regenerated] = []
        for owner, some in photos.items():
            answers += await Control(on.ledgers[owner], store=stores.get(owner)).regenerate(some)
        return answers, unknown

    answers, unknown = steer(context, account, work)
    where = "neither the ledger nor the store knows such a listing or photo"
    tell(answers, _MEANING, unknown, where=where, as_json=as_json)
    if not answers and not as_json:
        say("no photo to make another picture of")
    # A listing is asked for those of its photos that are staged; a photo that is named itself should be.
    missed = [
        one for one in answers if str(one.verdict) == "not_staged" and f"{one.listing_id}/{one.photo_id}" in wanted
    ]
    if unknown or missed:
        raise typer.Exit(exits.TROUBLE)


def _can_be_made(view: PhotoView) -> bool:
    return view.stage.value == "done" or (
        view.stage.value in {"failed", "cancelled"} and view.parent_job_id is not None
    )


async def _in_store(store: ObjectStore, name: str) -> PhotoName | None:
    """Return the photo that a name stands for, by the store's memory. Raises StoreError."""
    from worker.storage.latest import find_latest  # noqa: PLC0415 - `--help` must not wait for it

    for listing_id, photo_id in ways_to_part(name):
        if await find_latest(store, listing_id, photo_id) is not None:
            return listing_id, photo_id
    return None


def _lines(file: str) -> list[str]:
    try:
        if file == "-":
            data = sys.stdin.buffer.read(MAX_NAMES_BYTES + 1)
        else:
            with Path(file).open("rb") as opened:
                data = opened.read(MAX_NAMES_BYTES + 1)
        if len(data) > MAX_NAMES_BYTES:
            stop(f"{file}: it has more than {MAX_NAMES_BYTES:,} bytes; give the names in several files")
        text = data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        stop(f"{file}: {getattr(error, 'strerror', None) or 'it is no UTF-8 text'}")
    return [line.strip() for line in text.splitlines() if line.strip()]
