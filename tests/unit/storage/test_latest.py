"""Pictures of one photo side by side in the store, and the pointer to the latest, which never goes back."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from worker.storage.errors import StoreError
from worker.storage.images import JPEG
from worker.storage.latest import find_latest, latest_manifest, newest_of, point_to
from worker.storage.manifest import Manifest, Receipt, find_earlier_life, write_outputs, write_receipt
from worker.storage.names import latest_name, photo_folder
from worker.storage.outputs import FetchedImage
from worker.storage.store import Store, open_store

PHOTO = ("l/1", "p 1")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store of each test's own."""
    return open_store(tmp_path.as_uri())


async def write(store: Store, fingerprint: str = "f1", regeneration: int = 0) -> Manifest:
    """Write one picture of the photo."""
    content = f"{fingerprint} {regeneration}".encode()
    return await write_outputs(
        store,
        account="default",
        listing_id=PHOTO[0],
        photo_id=PHOTO[1],
        partner="acme",
        fingerprint=fingerprint,
        revision=1 + regeneration,
        request={"source": "/a.jpg"},
        source_sha256=None,
        job_id=f"gen_{fingerprint}_{regeneration}",
        source_asset_id="src_1",
        images=[("primary", FetchedImage(data=content, kind=JPEG, sha256="0" * 64, width=4, height=3))],
        created_at="2026-01-01T00:00:00Z",
        staged_at="2026-01-01T00:01:00Z",
        metadata={},
        regeneration=regeneration,
        parent_job_id=f"gen_{fingerprint}_{regeneration - 1}" if regeneration else None,
    )


def test_another_picture_lies_beside_the_first_and_neither_touches_the_other(store: Store) -> None:
    async def story() -> None:
        first, second = await write(store), await write(store, regeneration=1)
        assert second.outputs[0].name == f"{photo_folder(*PHOTO, 'f1')}/r1/primary.jpg"
        assert await store.get(first.outputs[0].name) == b"f1 0"
        assert await store.get(second.outputs[0].name) == b"f1 1"
        assert await find_earlier_life(store, *PHOTO, "f1") == first
        assert await find_earlier_life(store, *PHOTO, "f1", 1) == second
        assert await find_earlier_life(store, *PHOTO, "f1", 2) is None

    asyncio.run(story())


def test_a_receipt_of_another_picture_is_not_taken_for_the_first_ones(store: Store) -> None:
    receipt = Receipt(
        account="default",
        listing_id=PHOTO[0],
        photo_id=PHOTO[1],
        fingerprint="f1",
        revision=2,
        regeneration=1,
        parent_job_id="gen_0",
        job_id="gen_1",
        idempotency_key="k",
        created_at="",
    )

    async def story() -> None:
        await write_receipt(store, receipt)
        assert await find_earlier_life(store, *PHOTO, "f1") is None
        assert await find_earlier_life(store, *PHOTO, "f1", 1) == receipt

    asyncio.run(story())


def test_the_pointer_names_the_latest_order_whichever_is_stored_last(store: Store) -> None:
    async def story() -> None:
        assert await find_latest(store, *PHOTO) is None
        assert await latest_manifest(store, *PHOTO) is None
        first, second, changed = (
            await write(store),
            await write(store, regeneration=1),
            await write(store, "f2"),
        )
        await point_to(store, first, accepted_ms=1)
        await point_to(store, second, accepted_ms=2)
        await point_to(store, first, accepted_ms=1)
        assert await latest_manifest(store, *PHOTO) == second
        assert await newest_of(store, first) == second
        await point_to(store, changed, accepted_ms=3)
        await point_to(store, second, accepted_ms=2)
        latest = await find_latest(store, *PHOTO)
        assert latest is not None
        assert (latest.fingerprint, latest.regeneration, latest.job_id) == ("f2", 0, "gen_f2_0")
        assert latest.manifest == f"{photo_folder(*PHOTO, 'f2')}/manifest.json"
        assert await newest_of(store, first) == first, "the latest is of another request"
        await point_to(store, first, accepted_ms=4)
        assert await latest_manifest(store, *PHOTO) == first, "the earlier request was wanted again"

    asyncio.run(story())


def test_a_manifest_of_a_release_without_regenerations_is_of_the_first_picture(store: Store) -> None:
    async def story() -> None:
        written = await write(store)
        name = f"{photo_folder(*PHOTO, 'f1')}/manifest.json"
        old = json.loads(await store.get(name) or b"")
        del old["regeneration"], old["parent_job_id"]
        await store.put(name, json.dumps(old).encode(), media_type="application/json")
        assert await find_earlier_life(store, *PHOTO, "f1") == written

    asyncio.run(story())


def test_a_damaged_pointer_counts_as_absent_and_is_written_anew(store: Store) -> None:
    async def story() -> None:
        written = await write(store)
        await store.put(latest_name(*PHOTO), b'{"half":', media_type="application/json")
        assert await find_latest(store, *PHOTO) is None
        assert await newest_of(store, written) == written
        await point_to(store, written, accepted_ms=1)
        assert await latest_manifest(store, *PHOTO) == written

    asyncio.run(story())


@pytest.mark.parametrize("name", ["manifest.json", "receipt.json"])
def test_a_file_of_a_newer_schema_is_never_taken_for_absent(store: Store, name: str) -> None:
    """After a rollback the job would be bought again."""
    kept = json.dumps({"schema_version": 2, "what": "a later release says"}).encode()

    async def story() -> None:
        await store.put(f"{photo_folder(*PHOTO, 'f1')}/{name}", kept, media_type="application/json")
        with pytest.raises(StoreError, match="schema version 2"):
            await find_earlier_life(store, *PHOTO, "f1")

    asyncio.run(story())
