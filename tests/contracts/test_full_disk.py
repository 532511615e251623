"""A folder on a full disk: what can't be written whole is not there at all, and the message says what to do."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from worker.storage.errors import StoreError
from worker.storage.store import open_store

LARGEST_FILE = 4_000_000


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Let no file of this process's grow beyond some size: the system's answer is that of a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_leaves_the_old_object_whole_and_no_rest(tmp_path: Path) -> None:
    store = open_store(tmp_path.as_uri())

    async def story() -> None:
        await store.put("l/p/f/primary.jpg", b"before", media_type="image/jpeg")
        with pytest.raises(StoreError, match="check that it is writable and not full"):
            await store.put("l/p/f/primary.jpg", bytes(LARGEST_FILE + 1), media_type="image/jpeg")
        assert await store.get("l/p/f/primary.jpg") == b"before"

    asyncio.run(story())
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["primary.jpg"]
