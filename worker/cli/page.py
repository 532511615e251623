"""Looks at what a run has left in the store: writes the before/after page, and tells which outputs are older."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Final

from worker.cli.tracker import PhotoName
from worker.core.identity import fingerprint
from worker.core.photo import NewListing, NewPhoto, Stage
from worker.gallery import GalleryPhoto, build_gallery, longest_of, made_small
from worker.gallery.reasons import remedy
from worker.storage.errors import SourceError, StoreError
from worker.storage.latest import newest_of
from worker.storage.manifest import Manifest, find_earlier_life

if TYPE_CHECKING:
    from worker.cli.tracker import Outcome
    from worker.storage.sources import SourceReader
    from worker.storage.store import ObjectStore

#: Photos on the page: every one is in it with its bytes, and a browser has to carry that.
MOST_ON_PAGE: Final = 120
#: Manifests read to tell old outputs from new ones.
MOST_MANIFESTS: Final = 5_000
_AT_ONCE: Final = 16

Ordered = Sequence[tuple[NewListing, NewPhoto]]


def name_of(listing: NewListing, photo: NewPhoto) -> PhotoName:
    """Return the name of a photo of a run."""
    return PhotoName(listing.listing_id, photo.photo_id, listing.account)


def photos_of(listings: Sequence[NewListing]) -> Iterator[tuple[NewListing, NewPhoto]]:
    """Yield every photo with its listing."""
    return ((listing, photo) for listing in listings for photo in listing.photos)


async def read_manifests(
    stores: Mapping[str, ObjectStore], photos: Ordered, outcomes: Mapping[PhotoName, Outcome]
) -> dict[PhotoName, Manifest]:
    """Return the manifests of staged photos, of the first few thousand. A store that does not answer gives none.

    `stores`: each account's.
    """
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(name: PhotoName, photo: NewPhoto) -> tuple[PhotoName, Manifest] | None:
        async with gate:
            try:
                found = await find_earlier_life(
                    stores[name.account], name.listing_id, name.photo_id, fingerprint(photo.request)
                )
                found = await newest_of(stores[name.account], found) if isinstance(found, Manifest) else None
            except StoreError:
                return None
            return (name, found) if found is not None else None

    staged = (
        (name, photo)
        for name, photo in ((name_of(*both), both[1]) for both in photos)
        if (outcome := outcomes.get(name)) and outcome.stage is Stage.DONE
    )
    some = islice(staged, MOST_MANIFESTS)
    found = await asyncio.gather(*(one(name, photo) for name, photo in some))
    return dict(item for item in found if item is not None)


def older_than(manifests: Mapping[PhotoName, Manifest], begun_ms: int) -> list[PhotoName]:
    """Return the photos whose outputs were stored before the run began."""
    names = []
    for name, manifest in manifests.items():
        try:
            staged_ms = datetime.fromisoformat(manifest.staged_at).timestamp() * 1000
        except ValueError:
            continue
        if staged_ms < begun_ms:
            names.append(name)
    return names


async def render_page(
    stores: Mapping[str, ObjectStore],
    sources: SourceReader,
    photos: Ordered,
    *,
    outcomes: Mapping[PhotoName, Outcome],
    manifests: Mapping[PhotoName, Manifest],
) -> str | None:
    """Return the page of this run's photos, the first hundred or so; None when none of them has ended."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def card(listing: NewListing, photo: NewPhoto) -> GalleryPhoto:
        name = name_of(listing, photo)
        outcome, manifest = outcomes[name], manifests.get(name)
        async with gate:
            store = stores[name.account]
            images = {output.role: await _get(store, output.name) for output in manifest.outputs} if manifest else {}
            before, missing = await _source(sources, photo.request.source)
            found = GalleryPhoto(
                listing_id=listing.listing_id,
                photo_id=photo.photo_id,
                partner=listing.partner,
                request=photo.request,
                before=before,
                missing=missing,
                after=images.get("primary"),
                alternate=images.get("alternate"),
                job_id=manifest.job_id if manifest else None,
                revision=manifest.revision if manifest else 1,
                regeneration=manifest.regeneration if manifest else 0,
                created_at=manifest.created_at if manifest else None,
                staged_at=manifest.staged_at if manifest else None,
                error=None if images.get("primary") else outcome.message or outcome.code or str(outcome.stage),
                remedy=remedy(outcome.stage, shlex.quote(f"{listing.listing_id}/{photo.photo_id}")) or None,
            )
            # The whole pictures of a hundred photos are gigabytes: only what the page shows of them is kept.
            return await asyncio.to_thread(made_small, found, longest_of(len(shown)))

    ended = [(listing, photo) for listing, photo in photos if name_of(listing, photo) in outcomes]
    if not ended:
        return None
    shown = ended[:MOST_ON_PAGE]
    cards = await asyncio.gather(*(card(listing, photo) for listing, photo in shown))
    title = "Before and after"
    if len(ended) > MOST_ON_PAGE:
        title += f": {MOST_ON_PAGE} of {len(ended):,} photos; stagecrew gallery --all shows the others"
    return await asyncio.to_thread(build_gallery, cards, title=title)


async def _get(store: ObjectStore, name: str) -> bytes | None:
    try:
        return await store.get(name)
    except StoreError:
        return None


async def _source(sources: SourceReader, source: str) -> tuple[bytes | None, str | None]:
    """Return the picture as taken, or why there is none."""
    try:
        return (await sources.read(source)).data, None
    except SourceError as error:
        return None, str(error)
