"""The way from a command to the ledger, with every trouble on it turned into one line and an exit code.

`Doors` is the seam: tests give a command other doors as its context object, and nothing is patched.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol, TypeVar

import typer

from worker.cli import exits
from worker.cli.state_folder import StateFolderBusy, folder_of, has_redis_url
from worker.cli.terminal import stop

if TYPE_CHECKING:
    from config.settings import Settings
    from worker.cli.finding import Finding
    from worker.core.photo import NewListing, Stage
    from worker.flow.outlook import Prospect
    from worker.ledger.outbox import DeadLetter
    from worker.ledger.snapshot import Enqueued, PhotoView, Snapshot
    from worker.services import Services


T = TypeVar("T")


class OutboxPort(Protocol):
    """What the CLI needs of the outbox; `worker.ledger.outbox.Outbox` is it. All may raise RedisError."""

    async def dead(self, sink: str, *, limit: int | None = None) -> list[DeadLetter]:
        """Return a sink's dead letters, the newest first."""

    async def replay(self, sink: str, *, listings: Sequence[str] = ()) -> int:
        """Put a sink's dead letters back."""

    async def forget(self, sink: str, *, waiting: bool) -> int:
        """Drop a sink's dead letters, with `waiting` all that it knows."""


class LedgerPort(Protocol):
    """What the CLI needs of the ledger; `worker.ledger.ledger.Ledger` is it. All may raise RedisError."""

    async def enqueue(self, listings: Iterable[NewListing]) -> list[Enqueued]:
        """Accept listings; the same again changes nothing."""

    async def snapshot(self) -> Snapshot:
        """Return the account in one picture."""

    async def photos(self, stage: Stage, *, limit: int = 100) -> list[PhotoView]:
        """Return the newest photos of a held or failed stage."""

    async def listing(self, listing_id: str) -> list[PhotoView]:
        """Return all photos of a listing."""

    async def replay(self, keys: Sequence[str], *, create_again: bool = False) -> int:
        """Send held photos on their way again."""

    async def unused_api(self) -> None:
        """Say that nothing was ever sent to the API, so that an empty ledger has no window to wait for."""

    async def completions(self, after: str = "0", count: int = 1000) -> list[tuple[str, str]]:
        """Return completion messages after a stream id."""


class AccountPort(LedgerPort, Protocol):
    """What the CLI needs of one account's ledger besides."""

    @property
    def outbox(self) -> OutboxPort:
        """Messages that sinks have not taken."""

    async def prospect(self) -> Prospect:
        """Return what the photos that wait may expect."""


@contextlib.asynccontextmanager
async def _open_ledger(settings: Settings) -> AsyncIterator[AccountPort]:
    from worker.services import open_ledger  # noqa: PLC0415 - half a second that `--help` must not pay

    async with open_ledger(settings) as ledger:
        yield ledger


@contextlib.asynccontextmanager
async def _open_services(settings: Settings) -> AsyncIterator[Services]:
    from worker.services import open_services  # noqa: PLC0415 - as above

    async with open_services(settings) as services:
        yield services


async def _check_redis(settings: Settings) -> list[Finding]:
    from worker.cli.checks import redis_of  # noqa: PLC0415 - as above

    return await redis_of(settings)


async def _check_stuck(settings: Settings) -> list[Finding]:
    from worker.cli.lateness_check import stuck  # noqa: PLC0415 - as above

    return await stuck(settings)


def _load_settings() -> Settings:
    from config.settings import load_settings  # noqa: PLC0415 - as above

    return load_settings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """Where a command gets its settings, its ledger, and what there is to say of the ledger's server."""

    load_settings: Callable[[], Settings] = _load_settings
    open_ledger: Callable[[Settings], AbstractAsyncContextManager[AccountPort]] = _open_ledger
    open_services: Callable[[Settings], AbstractAsyncContextManager[Services]] = _open_services
    check_redis: Callable[[Settings], Awaitable[list[Finding]]] = _check_redis
    check_stuck: Callable[[Settings], Awaitable[list[Finding]]] = _check_stuck


def doors_of(context: typer.Context) -> Doors:
    """Return the command's doors: the real ones unless a test gave others."""
    return context.obj if isinstance(context.obj, Doors) else Doors()


def settings_of(context: typer.Context) -> Settings:
    """Return the settings, or end the command with every problem they have."""
    from config.settings import SettingsError  # noqa: PLC0415 - as above

    try:
        return doors_of(context).load_settings()
    except SettingsError as error:
        stop(f"the settings can't be used:\n{error}")


@contextlib.contextmanager
def reachable(settings: Settings) -> Iterator[Settings]:
    """Give the settings with which the ledger is found.

    Without STAGECREW_REDIS_URL that is the Redis in the state folder, started for as long as the command takes when no
    `stagecrew run` has it; where no run has ever been, it is the setting's default.
    """
    if has_redis_url(settings):
        yield settings
        return
    from config.accounts import has_key  # noqa: PLC0415 - as above

    # The kind of run that was last here, by what the settings would start now first.
    kinds = (not has_key(settings), has_key(settings))
    found = [folder for kind in kinds if (folder := folder_of(settings, sandbox=kind)).note()]
    if not found:
        yield settings
        return
    from pydantic import SecretStr  # noqa: PLC0415 - as above

    from worker.embedded.redis_server import RedisNotStarted, embedded_redis  # noqa: PLC0415

    folder = found[0]
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(folder.lock())
            url = stack.enter_context(embedded_redis(folder.redis)).url
        except StateFolderBusy:
            # A run has the folder, and with it the server: a second server on its data would spoil them.
            url = note.redis_url if (note := folder.note()) else settings.redis_url_text
        except RedisNotStarted as error:
            stop(str(error))
        changes: dict[str, object] = {"redis_url": SecretStr(url)}
        if (note := folder.note()) is not None:
            changes["speed"] = note.speed
            # The outputs lie where that run put them.
            if note.storage_url is not None and "storage_url" not in settings.model_fields_set:
                changes["storage_url"] = note.storage_url
        yield settings.model_copy(update=changes)


def with_ledger(context: typer.Context, work: Callable[[LedgerPort], Awaitable[T]], account: str | None = None) -> T:
    """Run `work` on the open ledger of an account, of `default` unless one is named.

    No Redis, or no such account, ends the command with a line that says which and what to do.
    """
    from redis.exceptions import RedisError  # noqa: PLC0415 - as above

    from config.accounts import UnknownAccount, settings_for  # noqa: PLC0415 - as above

    doors = doors_of(context)

    async def opened(settings: Settings) -> T:
        async with doors.open_ledger(settings_for(settings, account)) as ledger:
            return await work(ledger)

    with reachable(settings_of(context)) as settings:
        try:
            return asyncio.run(opened(settings))
        except UnknownAccount as error:
            stop(f"{error}; name one with --account")
        except (RedisError, OSError) as error:
            stop(no_redis(settings, error))
        except KeyboardInterrupt:
            raise typer.Exit(exits.INTERRUPTED) from None


def no_redis(settings: Settings, error: Exception) -> str:
    """Return what to say when Redis does not answer as it should; without its password."""
    from worker.logs import mask  # noqa: PLC0415 - as above

    where = mask(settings.redis_url_text)
    said = mask(str(error)) or type(error).__name__
    remedy = "Start it or set STAGECREW_REDIS_URL; `stagecrew doctor` looks closer."
    return f"Redis at {where} does not do its work: {said}\n{remedy}"


def jsonable(value: object) -> object:
    """Return a view of the ledger as plain JSON data."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: jsonable(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    # Exactly, and without an exponent.
    return f"{value:f}" if isinstance(value, Decimal) else value
