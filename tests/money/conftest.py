"""One worker's parts in this process, on a real Redis, a real store and the sandbox, with clocks that a test pushes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

from config.settings import Settings, load_settings
from tests.lifetimes import keys_are_as_documented
from tests.schemas import hold
from worker.cli import app
from worker.cli.doors import Doors
from worker.core.photo import NewListing, NewPhoto, Stage, StepName
from worker.core.request import canonical_request
from worker.flow.dispatching import Orders
from worker.katalo.models import Output
from worker.katalo.notice import COMPLETED, Notice
from worker.ledger.snapshot import PhotoView
from worker.pipeline.batch import Batches
from worker.sandbox.config import SandboxConfig
from worker.sandbox.running import RunningSandbox, running_sandbox
from worker.services import Services, open_services

#: What one round of the fleet takes: longer than the sandbox's ingests and jobs.
ROUND_MS = 61_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@dataclass
class Desk:
    """The fleet and its operator."""

    folder: Path
    settings: Settings
    environ: dict[str, str]
    sandbox: RunningSandbox
    services: Services
    clock_ms: int = field(default_factory=lambda: int(time.time() * 1000))

    async def push(self, ms: int) -> None:
        """Let time go by, here and at the API."""
        self.clock_ms += ms
        account = self.services.account
        for part in (
            account.ledger, account.admission, account.dispatching, account.parking, account.usage, account.duties,
            account.uncertain, account.inbox,
        ):  # fmt: skip
            part.clock = str(self.clock_ms)
        await asyncio.to_thread(self.sandbox.advance, ms / 1000)

    async def faults(self, **faults: object) -> None:
        """Change what goes wrong at the API."""
        await asyncio.to_thread(self.sandbox.set_faults, **faults)

    def listing(self, name: str, count: int, *, partner: str = "acme", style: str = "modern") -> NewListing:
        """Return a listing of real pictures, every one another."""
        photos = []
        for number in range(count):
            source = self.folder / f"{name}-{number}.jpg"
            Image.new("RGB", (64, 48), (number % 256, len(name), sum(name.encode()) % 256)).save(source)
            asked = canonical_request(source=str(source), mode="refurnish", style_preset=style)
            photos.append(NewPhoto(photo_id=f"photo-{number}", request=asked, metadata={}))
        return NewListing(listing_id=name, partner=partner, photos=tuple(photos), metadata={})

    async def enqueue(self, name: str, count: int, **more: str) -> NewListing:
        """Enqueue a listing."""
        listing = self.listing(name, count, **more)
        await self.services.ledger.enqueue([listing])
        return listing

    async def rounds(self, count: int, *, only: set[StepName] | None = None, round_ms: int = ROUND_MS) -> None:
        """Let the fleet work; `only`: other steps' leases are left to run out."""
        batches = Batches(self.services, lease_s=self.settings.lease_s)
        for _ in range(count):
            await self.push(round_ms)
            await self.services.admission.heartbeat("worker-1", hands=1000, busy=0, version="1")
            orders = await self.services.account.dispatching.dispatch("worker-1")
            assert isinstance(orders, Orders)
            for step in StepName:
                leases = [(sent.key, sent.token, sent.label) for sent in orders.photos if sent.step is step]
                if leases and (only is None or step in only):
                    await batches.run(step, leases)

    async def until(self, stages: dict[Stage, int]) -> None:
        """Let the fleet work until every photo is where it should be."""
        for _ in range(30):
            if (await self.services.ledger.snapshot()).stages == stages:
                return
            await self.rounds(1)
        raise AssertionError(f"not {stages} but {(await self.services.ledger.snapshot()).stages}")

    async def photo(self, listing: str, number: int = 0) -> PhotoView:
        """Return one photo."""
        return next(view for view in await self.services.ledger.listing(listing) if view.photo_id == f"photo-{number}")

    async def books(self) -> dict[str, Any]:
        """Return the API's own books."""
        return await asyncio.to_thread(self.sandbox.books)

    async def events(self, kind: str) -> list[dict[str, Any]]:
        """Return the completion messages of a kind; every one there is is held against its schema."""
        found = [json.loads(event) for _, event in await self.services.ledger.completions(count=10_000)]
        for event in found:
            hold(event)
        return [event for event in found if event["type"] == kind]

    async def stagecrew(self, *arguments: str, code: int = 0) -> str:
        """Run the command line as this fleet's operator; return what it printed."""
        doors = Doors(load_settings=lambda: load_settings(self.environ))

        def run() -> Result:
            return CliRunner().invoke(app, list(arguments), obj=doors)

        result = await asyncio.to_thread(run)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        assert self.sandbox.api_key not in result.output
        return result.output

    async def asked(self, *arguments: str, code: int = 0) -> Any:
        """Run the command line and return the JSON that it printed."""
        return json.loads((await self.stagecrew(*arguments, code=code)).splitlines()[0])


def webhook(job_id: str, asset: str | None, reference: str | None = None) -> Notice:
    """Return what a webhook says of a job that has succeeded."""
    outputs = (Output(role="primary", url="https://cdn.test/a.jpg"),)
    return Notice(event_type=COMPLETED, job_id=job_id, reference=reference, source_asset_id=asset, outputs=outputs)


Story = Callable[[Desk], Coroutine[Any, Any, None]]
Tell = Callable[..., None]


@pytest.fixture
def tell(redis_url: str, tmp_path: Path) -> Tell:
    """Run a story: `tell(story, sandbox={...}, STAGECREW_...="...")`."""

    def run(story: Story, sandbox: dict[str, Any] | None = None, **environ: str) -> None:
        config = SandboxConfig(**({"picture": "tiny"} | (sandbox or {})))
        with running_sandbox(config) as api:
            given = {
                "STAGECREW_REDIS_URL": redis_url,
                "STAGECREW_STORAGE_URL": (tmp_path / "output").as_uri(),
                "STAGECREW_STATE_DIR": str(tmp_path / "state"),
                "STAGECREW_ALLOW_PRIVATE_HOSTS": "true",
                "KATALO_BASE_URL": api.base_url,
                "KATALO_API_KEY": api.api_key,
                **environ,
            }
            settings = load_settings(given)

            async def live() -> None:
                async with open_services(settings) as services:
                    desk = Desk(folder=tmp_path, settings=settings, environ=given, sandbox=api, services=services)
                    await desk.push(0)
                    await services.ledger.unused_api()
                    await story(desk)

            asyncio.run(live())
            keys_are_as_documented(redis_url)

    return run
