"""The checks of `stagecrew doctor`: each asks one part and gives findings with cause and remedy; none changes anything.

The store's check writes, reads and deletes an object of its own.
"""

from __future__ import annotations

import asyncio
import platform
import sys
import time
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from worker import __version__
from worker.cli.finding import Check, Finding, bad, note, ok
from worker.cli.terminal import count, duration
from worker.core.photo import HELD, Stage
from worker.logs import mask

if TYPE_CHECKING:
    from config.settings import Settings
    from worker.katalo.accounting import UsageSummary
    from worker.ledger.snapshot import Snapshot

#: A larger difference to Redis's clock is worth a word; nothing depends on it, but logs are hard to read then.
SKEW_S: Final = 5.0
#: A message that waits for longer, at a sink that works, has nobody to deliver it.
LATE_MS: Final = 60_000
LEAST_REDIS: Final = 7
LEAST_PYTHON: Final = (3, 11)
#: Until a part counts as not answering, in seconds.
ANSWER_S: Final = 10


def python() -> Finding:
    """Check the interpreter."""
    text = f"{platform.python_version()}, stagecrew {__version__}"
    if sys.version_info[:2] < LEAST_PYTHON:
        return bad(Check.PYTHON, text, "use Python 3.11 or newer")
    return ok(Check.PYTHON, text)


def redis(info: Mapping[str, Any], skew_s: float) -> list[Finding]:
    """Check a Redis by its `INFO` and by how far its clock is ahead of ours."""
    valkey = info.get("valkey_version")
    version = str(valkey or info.get("redis_version", "0"))
    name = f"{'Valkey' if valkey else 'Redis'} {version}"
    major = int(version.partition(".")[0])
    found = [
        ok(Check.REDIS, f"{name} answers")
        if major >= LEAST_REDIS
        else bad(Check.REDIS, f"{name} is too old", f"{LEAST_REDIS} or newer is needed")
    ]
    written = str(info.get("aof_last_write_status", "ok"))
    if str(info.get("aof_enabled", "0")) == "1" and written != "ok":
        text = f"the append-only file can't be written ({written})"
        found.append(bad(Check.PERSISTENCE, text, "is the disk full? see Redis's log"))
    elif str(info.get("aof_enabled", "0")) == "1":
        found.append(ok(Check.PERSISTENCE, "the append-only file is on"))
    else:
        found.append(note(Check.PERSISTENCE, "no append-only file: a crash loses the ledger", "set appendonly yes"))
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy == "noeviction":
        found.append(ok(Check.EVICTION, policy))
    else:
        found.append(bad(Check.EVICTION, f"{policy} may throw photos away", "set maxmemory-policy noeviction"))
    if abs(skew_s) > SKEW_S:
        text = f"Redis's is {abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} this machine's"
        found.append(note(Check.CLOCK, text, "run NTP on both; the ledger goes by Redis's"))
    else:
        found.append(ok(Check.CLOCK, "agrees with Redis's"))
    return found


def fleet(snapshot: Snapshot) -> list[Finding]:
    """Check workers, leader, pauses and photos that wait for a person."""
    found = []
    versions = Counter(worker.version for worker in snapshot.workers)
    at_work = sum(n for stage, n in snapshot.stages.items() if stage not in _RESTING)
    if not snapshot.workers:
        text = f"none is alive, and {count(at_work, 'photo')} wait" if at_work else "none is alive"
        found.append((bad if at_work else note)(Check.WORKERS, text, "start one with `stagecrew worker`"))
    elif len(versions) > 1:
        mixed = ", ".join(f"{number} of {version}" for version, number in sorted(versions.items()))
        found.append(note(Check.WORKERS, f"releases are mixed: {mixed}", "end the old ones when the new ones run"))
    elif __version__ not in versions:
        text = f"{len(snapshot.workers)} alive, of release {next(iter(versions))}; this command is of {__version__}"
        found.append(note(Check.WORKERS, text, "use one release everywhere"))
    else:
        found.append(ok(Check.WORKERS, f"{len(snapshot.workers)} alive"))
    if snapshot.workers:
        found.append(
            ok(Check.LEADER, snapshot.leader)
            if snapshot.leader
            else note(Check.LEADER, "nobody leads just now", "one takes over within seconds; look again")
        )
    if snapshot.paused_reason:
        remedy = "nothing is sent until that is set right; it goes on by itself then"
        found.append(bad(Check.ACCOUNT, f"paused: {snapshot.paused_reason}", remedy))
    found += [
        note(Check.SPEND, view.describe(), "it goes on by itself; STAGECREW_CAPS__ settings raise it")
        for view in snapshot.capped
    ]
    found += [note(Check.PAUSE, str(pause), "`stagecrew resume` ends it") for pause in snapshot.pauses]
    for stage in (Stage.FAILED, *sorted(HELD)):
        if number := snapshot.stages.get(stage, 0):
            remedy = f"`stagecrew failed --stage {stage}` says why"
            found.append(
                (bad if stage is Stage.UNCERTAIN else note)(Check.PHOTOS, f"{count(number, 'photo')} {stage}", remedy)
            )
    return found


def outboxes(snapshot: Snapshot) -> list[Finding]:
    """Check what waits for sinks: sinks that are down, dead letters, sinks that are gone from the settings."""
    found = []
    for sink in snapshot.sinks:
        name, waiting = sink.name, count(sink.waiting, "message")
        if not sink.configured:
            if sink.waiting or sink.dead:
                drop = f"`stagecrew failed --sink {sink.name} --forget` drops them"
                remedy = f"put it back into STAGECREW_COMPLETIONS_URL; {drop}"
                text = f"{waiting} wait, and it is not in the settings"
                found.append(bad(Check.SINK, text, remedy, subject=name))
            continue
        if sink.times_down:
            text, remedy = (
                f"down, {waiting} wait: {sink.reason}",
                "it is tried again within a minute, or when it asked for",
            )
            found.append(bad(Check.SINK, text, remedy, subject=name))
        elif sink.failing:
            text = f"{count(sink.failing, 'listing')} waiting to be tried again: {sink.reason}"
            found.append(note(Check.SINK, text, "see the receiver's log", subject=name))
        elif sink.oldest_ms > LATE_MS:
            text = f"{waiting} wait, the oldest for {duration(sink.oldest_ms / 1000)}"
            found.append(bad(Check.SINK, text, "start workers", subject=name))
        if sink.dead:
            again = f"`stagecrew replay --sink {sink.name}` sends them again"
            remedy = f"`stagecrew failed --sink {sink.name}` says why, {again}"
            found.append(bad(Check.SINK, count(sink.dead, "dead letter"), remedy, subject=name))
    return found


async def sinks(settings: Settings) -> list[Finding]:
    """Check that each sink can be reached; nothing is sent to it."""
    from worker.core.delivery import Word  # noqa: PLC0415 - as below
    from worker.sinks.opening import open_sinks  # noqa: PLC0415

    found = []
    async with open_sinks(settings) as opened:
        for sink in opened:
            outcome = await sink.check()
            match outcome.word:
                case Word.DELIVERED:
                    found.append(ok(Check.SINK, "can be reached", subject=sink.name))
                case Word.RETRY:
                    text = f"may not be looked at: {outcome.reason}"
                    found.append(note(Check.SINK, text, "it shows when messages come", subject=sink.name))
                case _:
                    remedy = "see STAGECREW_COMPLETIONS_URL in docs/events.md"
                    found.append(bad(Check.SINK, outcome.reason, remedy, subject=sink.name))
    return found


def broker(settings: Settings) -> Finding:
    """Check that Celery's broker takes connections."""
    from celery import Celery  # noqa: PLC0415 - a tenth of a second, for this one check

    from config.celeryconfig import celery_settings  # noqa: PLC0415

    app = Celery("stagecrew-doctor", set_as_current=False)
    app.config_from_object(celery_settings(settings))
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=ANSWER_S)
    except Exception as error:  # noqa: BLE001 - each broker's client raises kinds of its own
        text = f"it can't be reached ({type(error).__name__})"
        return bad(Check.BROKER, text, "check STAGECREW_BROKER_URL and the server")
    return ok(Check.BROKER, "takes connections")


async def storage(settings: Settings) -> Finding:
    """Check that the store keeps and gives back what is written."""
    from worker.storage.errors import StoreError  # noqa: PLC0415 - as above
    from worker.storage.store import open_store  # noqa: PLC0415

    try:
        store = open_store(settings.storage_url)
        async with asyncio.timeout(ANSWER_S):
            await store.probe()
    except StoreError as error:
        return bad(Check.STORAGE, mask(str(error)), "see STAGECREW_STORAGE_URL")
    except TimeoutError:
        return bad(Check.STORAGE, f"no answer within {ANSWER_S} s", "check STAGECREW_STORAGE_URL and the network")
    return ok(Check.STORAGE, f"{store.describe()}: wrote, read and deleted an object")


async def api(settings: Settings) -> Finding:  # noqa: PLR0911 - one answer a trouble
    """Check the API's key by reading the usage summary, which is free."""
    from worker.katalo.client import KataloClient  # noqa: PLC0415 - as above
    from worker.katalo.errors import Forbidden, KataloError, Unauthorized  # noqa: PLC0415

    if settings.katalo_api_key is None:
        return note(Check.API, "no key: sandbox", "set KATALO_API_KEY to stage for real")
    key = settings.katalo_api_key.get_secret_value()
    if (wait_s := await _usage_wait_s(settings)) > 0:
        return note(Check.API, f"not asked: the budget of usage reads gives none for {wait_s:.0f} s", "ask again")
    async with KataloClient(base_url=settings.katalo_base_url, api_key=key) as client:
        try:
            async with asyncio.timeout(ANSWER_S):
                usage = await client.usage()
        except (Unauthorized, Forbidden) as error:
            return bad(Check.API, mask(str(error)), "see the organisation's API access in the Katalo dashboard")
        except KataloError as error:
            return bad(Check.API, mask(str(error)), "while it lasts, photos wait and nothing is lost")
        except TimeoutError:
            return bad(Check.API, f"no answer within {ANSWER_S} s", "check KATALO_BASE_URL and the network")
    if usage.enabled is False:
        return bad(Check.API, "the organisation may not use the API", "see its billing at Katalo")
    return ok(Check.API, f"{settings.katalo_base_url} accepts the key{_said(usage)}")


def _said(usage: UsageSummary) -> str:
    """Return what the usage summary says of the plan, as far as it says anything."""
    from worker.ledger.usage import remaining  # noqa: PLC0415 - as above

    said = [f"{name} {number:,}" for name in ("included", "consumed") if (number := usage.usage.get(name)) is not None]
    if (left := remaining(usage)) is not None:
        said.append(f"remaining {left:,}")
    if usage.period_end:
        said.append(f"until {usage.period_end[:10]}")
    return f": {', '.join(said)}" if said else ""


async def _usage_wait_s(settings: Settings) -> float:
    """Take a grant to read usage like every process of the fleet; without Redis there is nobody to share with."""
    from uuid import uuid4  # noqa: PLC0415 - as above

    from redis.exceptions import RedisError  # noqa: PLC0415

    from worker.core.routes import Route  # noqa: PLC0415
    from worker.flow.admission import Wait  # noqa: PLC0415
    from worker.services import open_account  # noqa: PLC0415

    async with open_account(settings) as account:
        try:
            answer = await account.admission.grant(account.limits.budgets[Route.USAGE], uuid4().hex, probe=True)
        except (RedisError, OSError):
            return 0.0
    return answer.ms / 1000 if isinstance(answer, Wait) else 0.0


async def redis_of(settings: Settings) -> list[Finding]:
    """Ask the ledger's Redis and check it."""
    from redis.asyncio import Redis  # noqa: PLC0415 - as above
    from redis.exceptions import RedisError  # noqa: PLC0415

    from config.redis_tls import redis_options  # noqa: PLC0415

    client = Redis.from_url(
        settings.redis_url_text, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S, **redis_options(settings)
    )
    try:
        info = await client.info()
        seconds, micros = await client.time()
        return redis(info, seconds + micros / 1_000_000 - time.time())
    except (RedisError, OSError) as error:
        where = mask(settings.redis_url_text)
        return [bad(Check.REDIS, f"{where}: {mask(str(error))}", "start it, or set STAGECREW_REDIS_URL")]
    finally:
        await client.aclose()


_RESTING: Final = frozenset({Stage.DONE, Stage.FAILED, Stage.CANCELLED, *HELD})
