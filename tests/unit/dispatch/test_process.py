"""A worker process over several accounts: each opens, fails and is named by itself."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from config.settings import Settings, load_settings
from worker.core.photo import StepName
from worker.process import Process, _labelled
from worker.storage.errors import StoreError

LEASES = [("key", "token", "elm/hall")]
#: A folder can't be made below a file.
BROKEN_STORE = f"{Path(__file__).as_uri()}/outputs"


def settings_with(tmp_path: Path, accounts: str) -> Settings:
    path = tmp_path / "accounts.toml"
    path.write_text(accounts)
    path.chmod(0o600)
    return load_settings(
        {
            "STAGECREW_ACCOUNTS_FILE": str(path),
            "STAGECREW_REDIS_URL": f"unix://{tmp_path}/nobody.sock",
            "STAGECREW_STORAGE_URL": (tmp_path / "output").as_uri(),
        }
    )


def account(name: str, more: str = "") -> str:
    return f'[accounts.{name}]\napi_key = "kat_live_{name}.x"\n{more}\n'


@contextmanager
def running(settings: Settings) -> Iterator[Process]:
    process = Process(settings, name="w@host", publish=lambda *_: None)
    process.start()
    try:
        yield process
    finally:
        process.stop()


def test_a_batch_of_an_unknown_account_is_left_alone_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with running(settings_with(tmp_path, account("north"))) as process, caplog.at_level(logging.WARNING):
        assert process.run_batch(StepName.ANNOUNCE, LEASES, "south") == {"elm/hall": "account unknown here"}
    assert "batch of an account left alone" in [record.message for record in caplog.records]


def test_an_account_whose_store_can_not_be_opened_keeps_no_other_from_being_served(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = account("north", f'storage_url = "{BROKEN_STORE}"')
    with running(settings_with(tmp_path, broken + account("south"))) as process:
        assert process.run_batch(StepName.ANNOUNCE, LEASES, "north") == {"elm/hall": "account not open here"}
        assert process._serving["south"].open
    assert any(record.message == "account not served" for record in caplog.records)


def test_a_process_that_can_serve_no_account_says_why_and_does_not_start(tmp_path: Path) -> None:
    stores = [account(name, f'storage_url = "{BROKEN_STORE}/{name}"') for name in ("north", "south")]
    for accounts in (stores[0], "".join(stores)):
        with pytest.raises(StoreError, match="can't be made"), running(settings_with(tmp_path, accounts)):
            pytest.fail("it started")


@pytest.mark.parametrize("prefix", ["", "north:"])
def test_labels_name_the_account_where_there_are_several(prefix: str) -> None:
    sent = []
    _labelled(lambda step, photos: sent.append((step, list(photos))), prefix, StepName.ANNOUNCE, LEASES)
    assert sent == [(StepName.ANNOUNCE, [("key", "token", f"{prefix}elm/hall")])]
