"""The way from a command to the API and the store, as one more process of the fleet: its reads take their grants."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias, TypeVar

import typer

from worker.cli import exits
from worker.cli.doors import doors_of, no_redis, reachable, settings_of
from worker.cli.state_folder import folder_of
from worker.cli.terminal import stop

if TYPE_CHECKING:
    from config.settings import Settings
    from worker.services import Services

T = TypeVar("T")
#: Opens an account's services by its name; None: of `default`.
Opened: TypeAlias = "Callable[[str | None], Awaitable[Services]]"
#: `--account NAME`; None means `default`.
OneAccount: TypeAlias = Annotated[
    str | None, typer.Option("--account", metavar="NAME", help="Which account; `default` unless given.")
]
_NO_KEY: Final = "there is no API key: set KATALO_API_KEY (a sandbox answers only while `stagecrew run` goes on)"


def with_services(
    context: typer.Context,
    work: Callable[[Services], Awaitable[T]],
    *,
    account: str | None = None,
    needs_key: bool = True,
) -> T:
    """Run `work` on everything that a worker has of an account, of `default` unless one is named."""

    async def with_one(opened: Opened) -> T:
        return await work(await opened(account))

    return with_every_services(context, with_one, needs_key=needs_key)


def with_every_services(context: typer.Context, work: Callable[[Opened], Awaitable[T]], *, needs_key: bool = True) -> T:
    """Run `work`, which opens the accounts that it needs by name.

    Every trouble ends the command with a line that says what to do.
    """
    from redis.exceptions import RedisError  # noqa: PLC0415 - `--help` must not wait for it

    from config.accounts import UnknownAccount, settings_for  # noqa: PLC0415
    from worker.katalo.errors import KataloError  # noqa: PLC0415
    from worker.pipeline.billing import LedgerUnreadable  # noqa: PLC0415
    from worker.pipeline.reads import NoGrant  # noqa: PLC0415
    from worker.storage.errors import StoreError  # noqa: PLC0415

    doors = doors_of(context)

    async def live(settings: Settings) -> T:
        async with contextlib.AsyncExitStack() as stack:
            services: dict[str | None, Services] = {}

            async def opened(name: str | None) -> Services:
                if name not in services:
                    own = with_sandbox(settings_for(settings, name))
                    if needs_key and own.katalo_api_key is None:
                        stop(_NO_KEY)
                    services[name] = await stack.enter_async_context(doors.open_services(own))
                return services[name]

            return await work(opened)

    with reachable(settings_of(context)) as settings:
        try:
            return asyncio.run(live(settings))
        except UnknownAccount as error:
            stop(f"{error}; name one with --account")
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
    try:
        socket.create_connection(("127.0.0.1", note.sandbox_port), timeout=1).close()
    except OSError:
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
