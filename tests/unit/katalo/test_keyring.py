"""A key that is replaced while the process runs: from the next call on, and old answers say nothing of the new one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from config.rotation import LiveAccounts
from config.settings import load_settings
from worker.katalo.client import KataloClient
from worker.katalo.errors import Unauthorized
from worker.katalo.keyring import Keyring

OLD, NEW = "kat_live_north.old-secret", "kat_live_north.new-secret"
Story = Callable[[KataloClient, Keyring, Path], Awaitable[None]]


def told(path: Path, story: Story, answer: Callable[[httpx.Request], Any]) -> None:
    """Run a story of one account, whose file is at `path`, before a fake API."""
    write(path, OLD)
    live = LiveAccounts(load_settings({"STAGECREW_ACCOUNTS_FILE": str(path)}))

    async def run() -> None:
        async with KataloClient(
            base_url="https://api.example.com", api_key=OLD, transport=httpx.MockTransport(answer)
        ) as client:
            await story(client, Keyring(client, live, "north"), path)

    asyncio.run(run())


def write(path: Path, key: str, text: str = "") -> None:
    path.write_text(text or f'[accounts.north]\napi_key = "{key}"\n')
    path.chmod(0o600)


def takes(key: str) -> Callable[[httpx.Request], httpx.Response]:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200 if request.headers["authorization"] == f"Bearer {key}" else 401, json={"usage": {}})

    return answer


def test_the_next_call_is_sent_with_the_files_key(tmp_path: Path) -> None:
    async def story(client: KataloClient, keyring: Keyring, path: Path) -> None:
        with pytest.raises(Unauthorized):
            await client.usage()
        assert not await keyring.renewed(), "nothing has changed"
        write(path, NEW)
        assert await keyring.renewed()
        await client.usage()
        assert not await keyring.renewed(look_closer=True), "it is the same key"

    told(tmp_path / "accounts.toml", story, takes(NEW))


def test_an_answer_to_an_older_key_can_be_told_from_one_to_the_new(tmp_path: Path) -> None:
    replaced = asyncio.Event()

    async def after_it_was_replaced(_: httpx.Request) -> httpx.Response:
        await replaced.wait()
        return httpx.Response(401)

    async def story(client: KataloClient, keyring: Keyring, path: Path) -> None:
        call = asyncio.create_task(client.usage())
        await asyncio.sleep(0)
        write(path, NEW)
        assert await keyring.renewed()
        replaced.set()
        with pytest.raises(Unauthorized) as old:
            await call
        assert old.value.key_number != client.key_number
        with pytest.raises(Unauthorized) as new:
            await client.usage()
        assert new.value.key_number == client.key_number

    told(tmp_path / "accounts.toml", story, after_it_was_replaced)


def test_a_file_that_is_broken_leaves_the_key_and_is_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(client: KataloClient, keyring: Keyring, path: Path) -> None:
        write(path, "", text="[accounts.")
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                assert not await keyring.renewed(look_closer=True)
        warnings = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
        assert warnings == ["the last good key stays in use"]
        await client.usage()

    told(tmp_path / "accounts.toml", story, takes(OLD))


def test_an_account_that_the_file_drops_keeps_its_key(tmp_path: Path) -> None:
    async def story(client: KataloClient, keyring: Keyring, path: Path) -> None:
        write(path, "", text='[accounts.south]\napi_key = "kat_live_south.x"\n')
        assert not await keyring.renewed()
        await client.usage()

    told(tmp_path / "accounts.toml", story, takes(OLD))
