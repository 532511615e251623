"""Reads what a run left behind: the sandbox's books and bill, Redis, the store, the receiver, the workers' logs."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import obstore
from obstore.store import S3Store
from redis import Redis

from chaos.arena import AWS, BUCKET, Arena
from chaos.checker import Evidence
from chaos.orders import Order
from worker.sandbox.config import SandboxConfig

ROOT: Final = "sc1:{default}:"
STREAM: Final = "done"
#: Keys of the ledger that are empty when all is at rest.
_EMPTY_AT_REST: Final = (
    "slots", "leases", "unadmitted:", "backlog:", "due:", "ring:", "remaking", "outbox:", "queue:", "turn:", "dead:",
)  # fmt: skip
QUEUES: Final = ("stagecrew", "stagecrew.enqueue")
#: What workers say at level `error` that was foreseen.
_FORESEEN: Final = re.compile(
    # Poison: Celery and our tasks refuse it, each in its way; and the broker is away.
    r"Received unregistered task|Received and deleted unknown message|Can't decode message body|leased photos are"
    r"|what is no message|missing 1 required positional|takes from \d+ to \d+ positional|must be a mapping"
    r"|Cannot connect to|Couldn't ack|Frequent restarts detected|Could not restore message"
    # The broker takes no writes while Celery counts or tidies up.
    r"|Error (?:in timer|cleaning up after event loop): server:ResponseError"
)
_READS_AT_ONCE: Final = 32


def gather(arena: Arena, config: SandboxConfig, orders: Sequence[Order], *, forgot: bool) -> Evidence:
    """Return everything that the checker wants to see."""
    with arena.redis.client as client:
        stream = read_stream(client)
        rows = [dict(client.hgetall(key)) for key in client.scan_iter(f"{ROOT}p:*", count=1000)]
        left = left_in(client)
    return Evidence(
        orders=orders,
        books=arena.sandbox.books(),
        in_flight=config.in_flight,
        bill=_bill(arena),
        price=config.prices["generation"],
        stream=stream,
        received={name: list(bodies) for name, bodies in arena.receiver.taken.items()},
        objects=asyncio.run(_objects(arena.store_port)),
        rows=rows,
        left=left,
        surprises=Counter(arena.ended_by_themselves) + surprises(arena.logs()),
        forgot=forgot,
    )


def read_stream(client: Redis, after: str = "-") -> list[tuple[str, dict[str, Any]]]:
    """Return the completion stream's entries behind one of them."""
    found: list[tuple[str, dict[str, Any]]] = []
    # redis-py types its replies for bytes and text alike; ours are text.
    untyped: Any = client
    while some := untyped.xrange(STREAM, after, "+", 5000):
        found += [(entry_id, json.loads(fields["event"])) for entry_id, fields in some]
        after = f"({some[-1][0]}"
    return found


def left_in(client: Redis) -> dict[str, int]:
    """Return how much is in each key that should be empty at rest, and in the fleet's queues."""
    sizes = {"zset": client.zcard, "list": client.llen, "stream": client.xlen, "hash": client.hlen, "set": client.scard}
    left = {f"celery:{queue}": int(client.llen(queue)) for queue in QUEUES}
    for key in client.scan_iter(f"{ROOT}*", count=5000):
        name = key.removeprefix(ROOT)
        if name.startswith(_EMPTY_AT_REST):
            left[name] = int(sizes[str(client.type(key))](key))
    return left


def _bill(arena: Arena) -> list[dict[str, Any]]:
    """Return all lines of the billing ledger, from the API itself."""
    lines: list[dict[str, Any]] = []
    cursor, chances = "", 100
    while True:
        url = f"{arena.sandbox.base_url}/api/v1/billing/events?limit=100{cursor}"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {arena.sandbox.api_key}"})  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - loopback
                page = json.load(answer)
        except urllib.error.HTTPError as error:
            # Its faults of chance go on: a long bill has hundreds of pages, and each may meet one.
            chances -= error.code == 500  # noqa: PLR2004
            if error.code not in {429, 500} or chances < 0:
                raise
            if error.code == 429:  # noqa: PLR2004
                arena.sandbox.advance(60)
            continue
        lines += page["events"]
        if "next_cursor" not in page:
            return lines
        cursor = f"&cursor={page['next_cursor']}"


async def _objects(port: int) -> dict[str, bytes]:
    """Return all objects of the store, read past the proxy."""
    store = S3Store(
        BUCKET,
        endpoint=f"http://127.0.0.1:{port}",
        region=AWS["AWS_REGION"],
        access_key_id=AWS["AWS_ACCESS_KEY_ID"],
        secret_access_key=AWS["AWS_SECRET_ACCESS_KEY"],
        client_options={"allow_http": True, "timeout": timedelta(seconds=60)},
    )
    names = [meta["path"] async for some in obstore.list(store) for meta in some]
    at_once = asyncio.Semaphore(_READS_AT_ONCE)

    async def read(name: str) -> tuple[str, bytes]:
        async with at_once:
            found = await obstore.get_async(store, name)
            return name, bytes(await found.bytes_async())

    return dict(await asyncio.gather(*map(read, names)))


def surprises(logs: Mapping[str, str]) -> Counter[str]:
    """Return what processes said at level `error` or worse, and what they said that is no log line of ours.

    `logs`: what each wrote, by its file's name.
    """
    found: Counter[str] = Counter()
    for name, text in logs.items():
        for line in text.splitlines():
            try:
                said = json.loads(line)
                if said["level"] in {"error", "critical"} and not _FORESEEN.search(line):
                    last = said.get("exception", "").strip().splitlines()[-1:]
                    found[f"{said['event'][:100]} {' '.join(last)[:120]}"] += 1
            except (ValueError, KeyError, TypeError):
                if "Traceback" in line:
                    found[f"a traceback in {name}"] += 1
    return found
