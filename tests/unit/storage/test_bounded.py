"""No more is read than may be kept, whatever a file, a pipe, an object or a server is."""

from __future__ import annotations

import asyncio
import io
import os
from pathlib import Path

import pytest

from config.settings import SettingsError, load_settings
from worker.intake.outcome import BadRecord
from worker.intake.table import MAX_ROW_CHARACTERS, read_table
from worker.storage.errors import SourceError, StoreError
from worker.storage.sources import SourceReader
from worker.storage.store import open_store


def read(source: str, max_bytes: int = 1_000) -> None:
    async def live() -> None:
        reader = SourceReader(allow_private_hosts=False, max_bytes=max_bytes)
        await reader.read(source)
        await reader.aclose()

    asyncio.run(live())


def test_a_device_that_never_ends_is_no_source() -> None:
    with pytest.raises(SourceError, match="no plain file"):
        read("/dev/zero")


def test_a_pipe_that_nobody_writes_to_holds_nothing_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(SourceError, match="no plain file"):
        read(str(tmp_path / "pipe.jpg"))


def test_a_folder_is_no_source(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no plain file"):
        read(str(tmp_path))


def test_a_file_that_is_larger_than_it_may_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "large.jpg").write_bytes(b"\xff\xd8\xff" + bytes(2_000))
    with pytest.raises(SourceError, match="larger than 1000 bytes"):
        read((tmp_path / "large.jpg").as_uri())


def test_an_object_that_is_larger_than_it_may_be_is_told_apart_from_none(tmp_path: Path) -> None:
    """Taken for absent, a manifest that somebody blew up would be a photo that is paid for again."""
    store = open_store(tmp_path.as_uri())
    (tmp_path / "manifest.json").write_bytes(bytes(2_000))

    async def live() -> None:
        with pytest.raises(StoreError, match=r"manifest\.json .* more than 1000 bytes"):
            await store.get("manifest.json", longest_bytes=1_000)
        assert await store.get("absent.json", longest_bytes=1_000) is None

    asyncio.run(live())


def test_a_table_without_line_ends_is_one_bad_row_and_those_after_it_are_read() -> None:
    good = b"a,b,/c.jpg\n"
    rows = b"listing_id,photo_id,source\n" + b"x" * (3 * MAX_ROW_CHARACTERS) + b"\n" + good
    found = list(read_table(io.BytesIO(rows), name="t.csv", base=Path("/")))
    bad = [one for one in found if isinstance(one, BadRecord)]
    assert [(one.where, "longer than" in one.problem) for one in bad] == [("t.csv line 2", True)]
    assert len(found) == 2


def test_a_first_row_without_an_end_refuses_the_table() -> None:
    found = list(read_table(io.BytesIO(b"x" * (2 * MAX_ROW_CHARACTERS)), name="t.csv", base=Path("/")))
    assert len(found) == 1
    assert isinstance(found[0], BadRecord)


def test_an_accounts_file_that_never_ends_is_a_clear_error() -> None:
    with pytest.raises(SettingsError, match="STAGECREW_ACCOUNTS_FILE: /dev/zero: it is not TOML: it has more than"):
        load_settings({"STAGECREW_ACCOUNTS_FILE": "/dev/zero"})


def test_a_key_file_that_never_ends_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "accounts.toml").write_text('[accounts.acme]\napi_key_file = "/dev/zero"\n')
    with pytest.raises(SettingsError, match=r"account acme: api_key_file: .*it has more than"):
        load_settings({"STAGECREW_ACCOUNTS_FILE": str(tmp_path / "accounts.toml")})


def test_an_env_file_that_is_no_text_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes(b"KATALO_API_KEY=\xff\xfe\n")
    with pytest.raises(SettingsError, match=r"\.env: it can't be read"):
        load_settings()
