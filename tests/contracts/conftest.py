"""A way from a real outbox to the other side of a real sink, told as a story: `way("https", story)`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

from config.settings import Settings, load_settings
from tests.contracts.others import Other, open_other
from worker.ledger.ledger import Ledger
from worker.ledger.snapshot import SinkView
from worker.services import open_ledger
from worker.sinks.pump import open_pumps

#: What has not come within this is lost, not late.
DEADLINE_S = 60.0


@dataclass
class Way:
    """The way from the outbox to the other side."""

    settings: Settings
    other: Other
    ledger: Ledger

    async def put(self, listing: str, *numbers: int, **data: Any) -> None:
        """Send messages of a listing."""
        for number in numbers:
            name = f"{listing}-{number}"
            event = {"id": name, "type": "stagecrew.test.v1", "subject": listing, "data": {"é": "日本", **data}}
            await self.ledger.announce(json.dumps(event), order=listing)

    @contextlib.asynccontextmanager
    async def pumping(self, name: str = "w") -> AsyncIterator[None]:
        """Deliver while the block runs, as a worker process does."""
        async with open_pumps(self.settings, self.ledger.outbox, name=name) as pumps:
            running = asyncio.create_task(pumps.run())
            yield
            pumps.drain()
            await running

    async def until(self, what: str, true: Callable[[], Awaitable[bool]]) -> None:
        """Return when something has come."""
        deadline_s = time.monotonic() + DEADLINE_S
        while not await true():
            assert time.monotonic() < deadline_s, f"{what} did not come: {(await self.ledger.snapshot()).sinks}"
            await asyncio.sleep(0.02)

    async def until_got(self, count: int) -> list[dict[str, Any]]:
        """Return what arrived when so many different messages have, and nothing waits any more."""

        async def there() -> bool:
            return len({event["id"] for event in await asyncio.to_thread(self.other.got)}) == count

        async def settled() -> bool:
            return await self.ledger.outbox.waiting(self.other.name) == 0

        await self.until(f"{count} messages", there)
        await self.until("an empty outbox", settled)
        return await asyncio.to_thread(self.other.got)

    async def view(self) -> SinkView:
        """Return the sink as `status` shows it."""
        return next(sink for sink in (await self.ledger.snapshot()).sinks if sink.name == self.other.name)


Story = Callable[[Way], Coroutine[Any, Any, None]]
Tell = Callable[..., None]


@pytest.fixture
def way(
    tmp_path: Path, redis_url: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Tell]:
    """Tell a story of a kind of sink: `way("https", story)`."""
    with contextlib.ExitStack() as stack:

        def run(kind: str, story: Story, **changes: str) -> None:
            port = request.getfixturevalue("aws_port") if kind[:3] in {"sqs", "sns"} else 0
            other = stack.enter_context(open_other(kind, tmp_path, redis_url, port, monkeypatch))
            environ = {
                "STAGECREW_REDIS_URL": redis_url,
                "STAGECREW_ALLOW_PRIVATE_HOSTS": "true",
                "STAGECREW_COMPLETIONS_URL": other.url,
            }
            settings = load_settings(environ | other.environ | changes)

            async def live() -> None:
                async with open_ledger(settings) as ledger:
                    await story(Way(settings=settings, other=other, ledger=ledger))

            asyncio.run(live())

        yield run


def by_listing(events: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Return the ids of each listing's messages, each at its first coming."""
    found: dict[str, list[str]] = defaultdict(list)
    for event in events:
        if event["id"] not in found[event["subject"]]:
            found[event["subject"]].append(event["id"])
    return found


@pytest.fixture(scope="session")
def aws_port() -> Iterator[int]:
    """Serve SQS and SNS."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()
