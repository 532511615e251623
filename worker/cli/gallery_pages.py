"""Finds the photos of a gallery in the ledger and in the store, and writes its pages, one after the other.

What is held in memory is the photos' names and one page: a gallery may have any number of photos.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from config.accounts import DEFAULT
from worker.core.photo import ENDED, HELD, Stage
from worker.core.request import Request
from worker.gallery import GalleryPhoto, Place, build_gallery, longest_of, made_small
from worker.gallery.reasons import remedy
from worker.ledger.amounts import Amounts
from worker.ledger.reading import Reader
from worker.ledger.search import find_photos
from worker.pipeline.billing import known_price
from worker.storage.errors import SourceError, StoreError
from worker.storage.latest import latest_manifest
from worker.storage.manifest import Manifest, each_kept
from worker.storage.names import segment

if TYPE_CHECKING:
    from worker.ledger.reading import PhotoDetail
    from worker.services import Services

#: Photos whose pictures are read at once; of the others a page keeps what it shows.
_AT_ONCE: Final = 8
#: Pages that are told of while they are written.
_MANY: Final = 5


class Name(NamedTuple):
    """A photo of the gallery; they sort as they are shown."""

    account: str
    listing_id: str
    photo_id: str

    @property
    def shown_account(self) -> str:
        """The account, where it says something."""
        return "" if self.account == DEFAULT else self.account


async def find(services: Mapping[str, Services], listings: Sequence[str]) -> tuple[list[Name], list[str]]:
    """Return the photos of these listings (of all without any), and the listings that nobody knows.

    Raises RedisError, StoreError.
    """
    found: set[Name] = set()
    for account, opened in services.items():
        if listings:
            for listing in listings:
                names = await Reader(opened.account.scripts, account=account).names(listing)
                found |= {Name(account, listing, photo) for photo in names}
                async for kept in each_kept(opened.store, prefix=f"{segment(listing)}/"):
                    found.add(Name(account, kept.listing_id, kept.photo_id))
        else:
            async for (listing, photo), _ in find_photos(opened.ledger, stages=ENDED | HELD):
                found.add(Name(account, listing, photo))
            async for kept in each_kept(opened.store):
                if isinstance(kept, Manifest):
                    found.add(Name(account, kept.listing_id, kept.photo_id))
    known = {name.listing_id for name in found}
    order = {listing: at for at, listing in enumerate(listings)}
    names_in_order = sorted(found, key=lambda name: (order.get(name.listing_id, 0), name))
    return names_in_order, [listing for listing in order if listing not in known]


async def write_pages(
    services: Mapping[str, Services],
    names: Sequence[Name],
    out: Path,
    *,
    per_page: int,
    tell: Callable[[str], None],
) -> list[Path]:
    """Write the pages beside each other; return their files. A page is whole or not there.

    Raises RedisError, OSError. A picture that can't be read is said so on its page.
    """
    parts = [names[at : at + per_page] for at in range(0, len(names), per_page)]
    files = [out, *(out.with_name(f"{out.stem}-{number}{out.suffix}") for number in range(2, len(parts) + 1))][
        : len(parts)
    ]
    for number, (some, file) in enumerate(zip(parts, files, strict=True), 1):
        photos = await _cards(services, some)
        place = Place(
            number=number,
            names=tuple(each.name for each in files),
            photos=len(names),
            elsewhere=_elsewhere(parts, files) if number == 1 else (),
        )
        title = "Before and after" if len(parts) == 1 else f"Before and after, page {number}"
        text = await asyncio.to_thread(build_gallery, photos, title, place)
        out.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_name(f".{file.name}.unfinished")
        unfinished.write_text(text, "utf-8")
        unfinished.replace(file)
        if len(parts) >= _MANY:
            tell(f"page {number} of {len(parts)}")
    return files


def _elsewhere(parts: Sequence[Sequence[Name]], files: Sequence[Path]) -> tuple[tuple[str, str], ...]:
    """Return where the listings begin that are not on the first page."""
    seen = {name[:2] for name in parts[0]}
    links = []
    for some, file in zip(parts[1:], files[1:], strict=True):
        for number, key in enumerate(dict.fromkeys(name[:2] for name in some)):
            if key not in seen:
                account, listing = key
                shown = listing if account == DEFAULT else f"{account}: {listing}"
                links.append((shown, f"{file.name}#listing-{number}"))
                seen.add(key)
    return tuple(links)


async def _cards(services: Mapping[str, Services], names: Sequence[Name]) -> list[GalleryPhoto]:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(name: Name) -> tuple[PhotoDetail | None, Manifest | None]:
        opened = services[name.account]
        async with gate:
            detail = await Reader(opened.account.scripts, account=name.account).photo(name.listing_id, name.photo_id)
            return detail, await _manifest(opened, name)

    known = dict(zip(names, await asyncio.gather(*map(one, names)), strict=True))
    costs: dict[Name, str] = {}
    for account, opened in services.items():
        jobs = {name: kept.job_id for name, (_, kept) in known.items() if name.account == account and kept is not None}
        costs |= await _costs(opened, jobs)

    async def card(name: Name) -> GalleryPhoto:
        async with gate:
            found = await _card(services[name.account], name, *known[name], cost=costs.get(name))
            return await asyncio.to_thread(made_small, found, longest_of(len(names)))

    return list(await asyncio.gather(*map(card, names)))


async def _manifest(services: Services, name: Name) -> Manifest | None:
    """Return the latest picture's manifest; release 0.1 kept no word of which that is."""
    try:
        found = await latest_manifest(services.store, name.listing_id, name.photo_id)
        if found is not None:
            return found
        prefix = f"{segment(name.listing_id)}/{segment(name.photo_id)}/"
        kept = [each async for each in each_kept(services.store, prefix=prefix) if isinstance(each, Manifest)]
    except StoreError:
        return None
    return max(kept, key=lambda each: each.staged_at, default=None)


async def _costs(services: Services, jobs: Mapping[Name, str]) -> dict[Name, str]:
    """Return what each photo's job cost: as billed where a bill was read, else what such a job costs."""
    billed = await Amounts(services.account.scripts).of(set(jobs.values()))
    price = await known_price(services)
    costs = {}
    for name, job_id in jobs.items():
        if job_id in billed:
            costs[name] = f"{_usd(billed[job_id])}, as billed"
        elif price is not None:
            costs[name] = f"about {_usd(price)}, by the last price"
        else:
            costs[name] = "no bill was read yet"
    return costs


def _usd(amount: Decimal) -> str:
    return f"{amount:,.2f} USD"


async def _card(
    services: Services, name: Name, detail: PhotoDetail | None, manifest: Manifest | None, *, cost: str | None
) -> GalleryPhoto:
    images: dict[str, bytes | None] = {}
    for output in manifest.outputs if manifest is not None else ():
        images[output.role] = await _output(services, output.name)
    request = _request(detail, manifest)
    before, missing = await _before(services, request)
    stage = detail.view.stage if detail is not None else Stage.DONE
    words: Iterable[str | None] = ()
    if detail is not None and stage is not Stage.DONE:
        words = (str(stage), detail.view.error_code, detail.view.error_message)
    error = ": ".join(word for word in words if word) or None
    if stage is Stage.DONE and images.get("primary") is None:
        what = "manifest" if manifest is None else "picture"
        error = f"staged, but its {what} is not in {services.store.describe()}: was it staged into another store?"
    return GalleryPhoto(
        account=name.shown_account,
        listing_id=name.listing_id,
        photo_id=name.photo_id,
        partner=detail.view.partner if detail is not None else manifest.partner if manifest is not None else "",
        request=request,
        before=before,
        missing=missing,
        after=images.get("primary"),
        alternate=images.get("alternate"),
        job_id=manifest.job_id if manifest is not None else detail.view.job_id if detail is not None else None,
        revision=manifest.revision if manifest is not None else detail.view.revision if detail is not None else 1,
        regeneration=manifest.regeneration if manifest is not None else 0,
        created_at=manifest.created_at if manifest is not None else None,
        staged_at=manifest.staged_at if manifest is not None else None,
        cost=cost,
        error=error,
        remedy=remedy(stage, shlex.quote(f"{name.listing_id}/{name.photo_id}")) or None,
    )


def _request(detail: PhotoDetail | None, manifest: Manifest | None) -> Request:
    """Return what was asked for; the ledger knows a source's whole address, the manifest does not."""
    asked = dict(manifest.request if manifest is not None else {})
    if detail is not None and (manifest is None or detail.view.fingerprint == manifest.fingerprint):
        asked = dict(detail.request)
    known = {field: value for field, value in asked.items() if field in Request.__slots__}
    return Request(**{"source": "", **known, "room_types": tuple(known.get("room_types") or ())})


async def _output(services: Services, name: str) -> bytes | None:
    try:
        return await services.store.get(name)
    except StoreError:
        return None


async def _before(services: Services, request: Request) -> tuple[bytes | None, str | None]:
    """Return the source's picture, or why there is none."""
    if not request.source:
        return None, "nobody knows any more where it lies"
    try:
        return (await services.sources.read(request.source)).data, None
    except SourceError as error:
        return None, str(error)
