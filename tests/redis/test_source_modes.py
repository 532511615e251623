"""How a source reaches the API: its bytes, or its address for the API to fetch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from config.settings import Settings, load_settings
from worker.core.photo import NewListing, NewPhoto, Photo, Stage
from worker.core.request import canonical_request
from worker.core.routes import Route
from worker.core.step import Step
from worker.flow.dispatching import Orders
from worker.katalo.client import KataloClient
from worker.pipeline.ingest import ingest_source, poll_ingest
from worker.services import Services, open_services
from worker.storage.sources import SourceImage, SourceReader

LASTING = "https://cdn.example.com/a.jpg"
SIGNED = "https://cdn.example.com/a.jpg?X-Amz-Signature=abc"


class Disk(SourceReader):
    """Reads nothing from anywhere: what counts here is who fetches."""

    def __init__(self) -> None:
        """Have one picture for every address."""
        super().__init__(allow_private_hosts=False, max_bytes=1_000)

    async def read(self, source: str) -> SourceImage:
        return SourceImage(data=b"picture", media_type="image/jpeg", sha256="0" * 64, filename="a.jpg")


@dataclass
class Api:
    """Notes how each source came, and says how its fetching ends."""

    fetchable: bool = True
    came: list[str] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            failure = None if self.fetchable else {"code": "unreachable", "message": "403 from the host"}
            status = "ready" if self.fetchable else "failed"
            asset = "src_1" if self.fetchable else None
            return httpx.Response(200, json={"status": status, "source_asset_id": asset, "failure": failure})
        self.came.append("url" if request.headers["content-type"] == "application/json" else "bytes")
        return httpx.Response(200, json={"ingest_id": f"ing_{len(self.came)}", "status": "pending"})


Story = Callable[[Services], Coroutine[Any, Any, None]]


def tell(redis_url: str, tmp_path: Any, api: Api, story: Story, mode: str = "auto") -> None:
    settings: Settings = load_settings(
        {
            "STAGECREW_REDIS_URL": redis_url,
            "STAGECREW_STORAGE_URL": f"file://{tmp_path}/output",
            "STAGECREW_SOURCE_MODE": mode,
            "STAGECREW_LIMITS__SOURCE_FETCHES": "2/60s",
            "KATALO_API_KEY": "kat_live_test.secret-of-the-test",
        }
    )

    async def live() -> None:
        async with open_services(settings) as services:
            real = services.katalo
            transport = httpx.MockTransport(api.answer)
            services.katalo = KataloClient(base_url="http://api.test", api_key="k", transport=transport)
            services.sources = Disk()
            # The first script of an empty server marks its start; budgets are held after that, unless nothing was sent.
            await services.admission.heartbeat("w", hands=100, busy=0, version="1")
            await services.ledger.unused_api()
            await story(services)
            services.katalo = real

    asyncio.run(live())


async def enqueue(services: Services, *sources: str) -> None:
    photos = tuple(
        NewPhoto(photo_id=str(number), request=canonical_request(source=source, mode="refurnish"), metadata={})
        for number, source in enumerate(sources)
    )
    await services.ledger.enqueue([NewListing(listing_id="a", photos=photos, metadata={})])


async def take_all(services: Services) -> list[Photo]:
    orders = await services.account.dispatching.dispatch("w")
    assert isinstance(orders, Orders)
    taken = []
    for sent in orders.photos:
        batch = await services.ledger.open(sent.step, [(sent.key, sent.token)])
        taken += [opened.photo for opened in batch.opened]
    return taken


async def ingest_all(services: Services) -> list[Step]:
    steps = []
    for photo in await take_all(services):
        steps.append(await ingest_source(services, photo))
        assert await services.ledger.settle(photo, steps[-1])
    return steps


@pytest.mark.parametrize(
    ("mode", "source", "came"),
    [
        ("auto", LASTING, "url"),
        ("auto", SIGNED, "bytes"),
        ("auto", "/photos/a.jpg", "bytes"),
        ("upload", LASTING, "bytes"),
        ("url", LASTING, "url"),
        ("url", SIGNED, "bytes"),
    ],
)
def test_the_mode_and_the_address_decide(redis_url: str, tmp_path: Any, mode: str, source: str, came: str) -> None:
    api = Api()

    async def story(services: Services) -> None:
        await enqueue(services, source)
        [step] = await ingest_all(services)
        assert step.stage is Stage.INGESTING
        assert api.came == [came]

    tell(redis_url, tmp_path, api, story, mode)


def test_auto_uploads_when_the_budget_of_fetches_is_used_up(redis_url: str, tmp_path: Any) -> None:
    api = Api()

    async def story(services: Services) -> None:
        await enqueue(services, *(f"https://cdn.example.com/{number}.jpg" for number in range(5)))
        await ingest_all(services)
        assert sorted(api.came) == ["bytes"] * 3 + ["url"] * 2
        budgets = {budget.route: budget.used for budget in (await services.ledger.snapshot()).budgets}
        assert (budgets[Route.SOURCE_ASSETS], budgets[Route.SOURCE_FETCHES]) == (5, 2)

    tell(redis_url, tmp_path, api, story)


def test_what_the_api_could_not_fetch_is_uploaded_and_so_is_all_else_from_that_host(
    redis_url: str, tmp_path: Any
) -> None:
    api = Api(fetchable=False)

    async def story(services: Services) -> None:
        await enqueue(services, LASTING)
        [photo] = await take_all(services)
        step = await ingest_source(services, photo)
        await services.ledger.settle(photo, step)
        step = await poll_ingest(services, _as_read(photo, step))
        assert step.stage is Stage.ACCEPTED
        assert step.error_code == "not_fetched"
        assert step.fields["ingest_try"] == "1"
        await enqueue(services, LASTING, "https://cdn.example.com/b.jpg")
        await ingest_all(services)
        assert api.came == ["url", "bytes"]

    tell(redis_url, tmp_path, api, story)


def _as_read(photo: Photo, step: Step) -> Photo:
    """Return the photo as its next step sees it."""
    from dataclasses import replace

    return replace(photo, stage=step.stage, ingest_id=step.fields["ingest_id"])
