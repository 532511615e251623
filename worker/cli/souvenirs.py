"""What `stagecrew run` leaves for people: the completion messages as a file, and the before/after page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from worker.core.identity import photo_key
from worker.gallery import GalleryPhoto, build_gallery
from worker.intake.record import shorten

if TYPE_CHECKING:
    from config.settings import Settings
    from worker.ledger.ledger import Ledger

#: A page with more pictures than this opens too slowly; it says how many it leaves out.
MOST_PHOTOS: Final = 200


async def write_completions(ledger: Ledger, path: Path, bookmark: Path) -> None:
    """Append the completion messages that came since the last time; `bookmark` keeps how far that was."""
    after = bookmark.read_text().strip() if bookmark.exists() and path.exists() else "0"
    with path.open("a", encoding="utf-8") as lines:
        while entries := await ledger.completions(after):
            for entry_id, event in entries:
                lines.write(f"{event}\n")
                after = entry_id
    bookmark.write_text(after)


async def write_gallery(settings: Settings, ledger: Ledger, photos: list[tuple[str, str]], path: Path) -> None:
    """Write the page of these photos."""
    from worker.storage.errors import SourceError  # noqa: PLC0415
    from worker.storage.sources import SourceReader  # noqa: PLC0415
    from worker.storage.store import open_store  # noqa: PLC0415

    store = open_store(settings.storage_url)
    reader = SourceReader(allow_private_hosts=settings.allow_private_hosts, max_bytes=settings.max_source_bytes)
    items = []
    try:
        for listing_id, photo_id in photos[:MOST_PHOTOS]:
            row = await ledger.row(photo_key(listing_id, photo_id))
            if row is None:
                continue
            try:
                before = (await reader.read(row.request.source)).data
            except SourceError:
                before = None  # the card then says why the photo failed
            stored = {item["role"]: item["name"] for item in json.loads(row.outputs or "{}").get("stored", [])}
            primary = next(iter(stored.values()), None)
            items.append(
                GalleryPhoto(
                    listing_id=listing_id,
                    photo_id=shorten(photo_id),
                    partner=row.partner,
                    request=row.request,
                    before=before,
                    after=await store.get(stored.get("primary", primary)) if primary else None,
                    alternate=await store.get(stored["alternate"]) if "alternate" in stored else None,
                    job_id=row.job_id,
                    revision=row.revision,
                    error=f"{row.error_code}: {row.error_message}" if row.error_code else None,
                )
            )
    finally:
        await reader.aclose()
    more = f", the first {MOST_PHOTOS} of {len(photos)}" if len(photos) > MOST_PHOTOS else ""
    path.write_text(build_gallery(items, title=f"Before and after{more}"), encoding="utf-8")
