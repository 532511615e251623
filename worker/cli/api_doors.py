"""The way from a command to the API and the store, as one more process of the fleet: its reads take their grants."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import typer

from worker.cli import exits
from worker.cli.doors import doors_of, no_redis, reachable, settings_of
from worker.cli.state_folder import folder_of
from worker.cli.terminal import stop

if TYPE_CHECKING:
    from config.settings import Settings
    from worker.services import Services

T = TypeVar("T")


def with_services(context: typer.Context, work: Callable[[Services], Awaitable[T]], *, needs_key: bool = True) -> T:
    """Run `work` on everything that a worker has; every trouble ends the command with a line that says what to do."""
    from redis.exceptions import RedisError  # noqa: PLC0415 - `--help` must not wait for it

    from worker.katalo.errors import KataloError  # noqa: PLC0415
    from worker.pipeline.billing import LedgerUnreadable  # noqa: PLC0415
    from worker.pipeline.reads import NoGrant  # noqa: PLC0415
    from worker.storage.errors import StoreError  # noqa: PLC0415

    doors = doors_of(context)

    async def opened(settings: Settings) -> T:
        async with doors.open_services(settings) as services:
            return await work(services)

    with reachable(settings_of(context)) as found:
        settings = with_sandbox(found)
        if needs_key and settings.katalo_api_key is None:
            stop("there is no API key: set KATALO_API_KEY (a sandbox answers only while `stagecrew run` goes on)")
        try:
            return asyncio.run(opened(settings))
        except (KataloError, NoGrant, LedgerUnreadable, StoreError) as error:
            stop(str(error), exits.TROUBLE)
        except (RedisError, OSError) as error:
            stop(no_redis(settings, error))
        except KeyboardInterrupt:
            raise typer.Exit(exits.INTERRUPTED) from None


def with_sandbox(settings: Settings) -> Settings:
    """Return settings that reach the sandbox of the latest `stagecrew run`, where there is no API key."""
    note = folder_of(settings, sandbox=True).note()
    if settings.katalo_api_key is not None or note is None or note.sandbox_port is None:
        return settings
    from pydantic import SecretStr  # noqa: PLC0415 - as above

    from worker.sandbox.config import SandboxConfig  # noqa: PLC0415

    return settings.model_copy(
        update={
            "katalo_base_url": f"http://127.0.0.1:{note.sandbox_port}",
            "katalo_api_key": SecretStr(SandboxConfig().api_key),
            "allow_private_hosts": True,
        }
    )
