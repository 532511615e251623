"""`stagecrew doctor`: asks every part and says cause and remedy, a line each."""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from config.settings import Settings
    from worker.services import Account

#: Redis's clock and this machine's may differ so much before it is worth a word, in seconds.
CLOCK_S: Final = 5.0
#: The oldest server that has what the scripts need.
LEAST_REDIS: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One part's answer: `ok`, `note` (works, but) or `bad`."""

    part: str
    state: str
    text: str


def doctor(*, json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False) -> None:
    """Ask every part how it is; exit 1 when one of them is bad."""
    from config.settings import load_settings  # noqa: PLC0415
    from worker.cli.output import TROUBLE, as_json, console  # noqa: PLC0415

    settings = load_settings()

    async def collect() -> list[Finding]:
        return [finding async for finding in examine(settings)]

    findings = asyncio.run(collect())
    if json:
        typer.echo(as_json(findings))
    else:
        marks = {"ok": "[green]ok  [/]", "note": "[yellow]note[/]", "bad": "[red]bad [/]"}
        for finding in findings:
            terminal = console()
            terminal.print(marks[finding.state], end=" ")
            terminal.print(f"{finding.part}: {finding.text}", markup=False, soft_wrap=True)
    raise typer.Exit(TROUBLE if any(finding.state == "bad" for finding in findings) else 0)


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Yield a finding a part."""
    from redis.exceptions import RedisError  # noqa: PLC0415

    from worker import __version__  # noqa: PLC0415
    from worker.logs import mask  # noqa: PLC0415
    from worker.services import open_account  # noqa: PLC0415

    yield _ok("python", f"{platform.python_version()}, stagecrew {__version__}")
    yield _ok("settings", "all fine")
    async with open_account(settings) as account:
        try:
            async for finding in _redis(account):
                yield finding
            async for finding in _fleet(account):
                yield finding
        except RedisError as error:
            yield _bad("redis", f"{mask(str(error))}; is STAGECREW_REDIS_URL right and the server up?")
    yield await asyncio.to_thread(_broker, settings)
    yield await _storage(settings)
    yield await _api(settings)


async def _redis(account: Account) -> AsyncIterator[Finding]:
    before = time.time()
    info: dict[str, Any] = await account.redis.info()
    seconds, micros = await account.redis.time()
    name = "valkey" if "valkey_version" in info else "redis"
    version = str(info.get("valkey_version") or info["redis_version"])
    if int(version.partition(".")[0]) < LEAST_REDIS:
        yield _bad("redis", f"{name} {version} is too old; {LEAST_REDIS} or newer is needed")
    else:
        yield _ok("redis", f"{name} {version}")
    if info.get("aof_enabled"):
        yield _ok("redis persistence", "append-only file is on")
    else:
        yield _note("redis persistence", "no append-only file: a crash loses the ledger; set appendonly yes")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy == "noeviction":
        yield _ok("redis eviction", policy)
    else:
        yield _bad("redis eviction", f"{policy} may throw photos away; set maxmemory-policy noeviction")
    skew_s = seconds + micros / 1_000_000 - before
    if abs(skew_s) > CLOCK_S:
        yield _note("clock", f"this machine is {-skew_s:+.0f} s off Redis's clock (which is the one that counts); run NTP")
    else:
        yield _ok("clock", "agrees with Redis's")


async def _fleet(account: Account) -> AsyncIterator[Finding]:
    from worker.core.photo import HELD, Stage  # noqa: PLC0415

    snapshot = await account.ledger.snapshot()
    versions = {worker.version for worker in snapshot.workers}
    if not snapshot.workers:
        yield _note("workers", "none is alive; start one with `stagecrew worker`")
    elif len(versions) > 1:
        yield _note("workers", f"{len(snapshot.workers)} alive, of different releases: {', '.join(sorted(versions))}")
    else:
        yield _ok("workers", f"{len(snapshot.workers)} alive, leader {snapshot.leader or 'none yet'}")
    if snapshot.paused_reason:
        yield _bad("account", f"paused: {snapshot.paused_reason}")
    for stage in (Stage.FAILED, *sorted(HELD)):
        if count := snapshot.stages.get(stage, 0):
            yield _note("photos", f"{count} {stage}; see `stagecrew failed --stage {stage}`")


def _broker(settings: Settings) -> Finding:
    from celery import Celery  # noqa: PLC0415

    from config.celeryconfig import celery_settings  # noqa: PLC0415

    app = Celery("stagecrew", set_as_current=False)
    app.config_from_object(celery_settings(settings))
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=5)
    except Exception as error:  # noqa: BLE001 - each broker's client raises its own kinds
        return _bad("broker", f"can't be reached ({type(error).__name__}); is STAGECREW_BROKER_URL right?")
    return _ok("broker", "answers")


async def _storage(settings: Settings) -> Finding:
    from worker.storage.errors import StoreError  # noqa: PLC0415
    from worker.storage.store import open_store  # noqa: PLC0415

    try:
        store = open_store(settings.storage_url)
        await store.probe()
    except StoreError as error:
        return _bad("storage", str(error))
    return _ok("storage", f"{store.describe()}: wrote, read and deleted")


async def _api(settings: Settings) -> Finding:
    from worker.katalo.client import KataloClient  # noqa: PLC0415
    from worker.katalo.errors import Forbidden, KataloError, Unauthorized  # noqa: PLC0415

    if settings.katalo_api_key is None:
        return _note("katalo api", "no KATALO_API_KEY: only `stagecrew run` works, against the sandbox")
    key = settings.katalo_api_key.get_secret_value()
    async with KataloClient(base_url=settings.katalo_base_url, api_key=key) as client:
        try:
            usage = await client.usage()
        except (Unauthorized, Forbidden) as error:
            return _bad("katalo api", f"{error}; check KATALO_API_KEY and the organisation's API access")
        except KataloError as error:
            return _bad("katalo api", str(error))
    if usage.enabled is False:
        return _bad("katalo api", "the organisation is not entitled to the API; see its billing in the Katalo dashboard")
    return _ok("katalo api", f"{settings.katalo_base_url} accepts the key")


def _ok(part: str, text: str) -> Finding:
    return Finding(part=part, state="ok", text=text)


def _note(part: str, text: str) -> Finding:
    return Finding(part=part, state="note", text=text)


def _bad(part: str, text: str) -> Finding:
    return Finding(part=part, state="bad", text=text)


