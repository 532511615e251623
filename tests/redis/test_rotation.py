"""A refused key: its file is read once more before the account is paused, and another key ends the pause."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from config.rotation import LiveAccounts
from config.settings import load_settings
from worker.core.routes import Route
from worker.katalo.errors import Forbidden, KataloError, Unauthorized
from worker.pipeline.trouble import from_api
from worker.services import Services, open_services


@dataclass
class North:
    """One account whose key is in a file."""

    services: Services
    file: Path

    def write(self, key: str) -> None:
        self.file.write_text(f'[accounts.north]\napi_key = "{key}"\n')

    async def refused(self, error: KataloError) -> bool:
        """Let the API refuse a call; say whether the account is paused now."""
        await from_api(self.services, Route.GENERATION_READS, error)
        return (await self.services.ledger.snapshot()).paused_reason is not None


Tell = Callable[[Callable[[North], Awaitable[None]]], None]


@pytest.fixture
def tell(redis_url: str, tmp_path: Path) -> Tell:
    """Run a story about an account on an empty Redis."""

    def run(story: Callable[[North], Awaitable[None]]) -> None:
        file = tmp_path / "accounts.toml"
        file.write_text('[accounts.north]\napi_key = "kat_live_north.first"\n')
        settings = load_settings(
            {
                "STAGECREW_ACCOUNTS_FILE": str(file),
                "STAGECREW_REDIS_URL": redis_url,
                "STAGECREW_STORAGE_URL": (tmp_path / "output").as_uri(),
            }
        )

        async def live() -> None:
            async with open_services(settings, "north", live=LiveAccounts(settings)) as services:
                await story(North(services, file))

        asyncio.run(live())

    return run


@pytest.mark.parametrize("kind", [Unauthorized, Forbidden])
def test_a_key_that_the_file_still_has_pauses_the_account(tell: Tell, kind: type[KataloError]) -> None:
    async def story(north: North) -> None:
        assert await north.refused(kind("GET", "no", status=401))

    tell(story)


def test_a_key_that_the_file_has_replaced_is_taken_over_instead(tell: Tell) -> None:
    async def story(north: North) -> None:
        north.write("kat_live_north.second")
        assert not await north.refused(Unauthorized("GET", "no", status=401))
        late = Unauthorized("GET", "no", status=401)
        assert late.key_number < north.services.katalo.key_number
        assert not await north.refused(late), "an answer to the old key says nothing of the new one"
        of_new = Unauthorized("GET", "no", status=401)
        of_new.key_number = north.services.katalo.key_number
        assert await north.refused(of_new)

    tell(story)


def test_another_key_ends_the_pause(tell: Tell) -> None:
    async def story(north: North) -> None:
        assert await north.refused(Unauthorized("GET", "no", status=401))
        assert not await north.services.key_renewed(), "the file has not changed"
        assert (await north.services.ledger.snapshot()).paused_reason is not None
        north.write("kat_live_north.second")
        assert await north.services.key_renewed()
        assert (await north.services.ledger.snapshot()).paused_reason is None

    tell(story)
