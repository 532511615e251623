"""Messages of a newer release: a worker that does not know their form leaves them to others and fails no photo."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from celery import Celery

from config.celeryconfig import QUEUE
from tests.fleet.conftest import Fleet
from worker.flow.dispatching import Dispatched, Orders
from worker.services import open_services

Build = Callable[..., Fleet]


async def dispatched(crew: Fleet, count: int) -> list[Dispatched]:
    """Lease `count` photos, as the leader of a newer release does."""
    photos: list[Dispatched] = []
    async with open_services(crew.settings) as services:
        while len(photos) < count:
            await services.admission.heartbeat("newer@test", hands=10, busy=0, version="9.0.0")
            orders = await services.account.dispatching.dispatch("newer@test")
            assert isinstance(orders, Orders), "it leads"
            photos += orders.photos
        await services.admission.heartbeat("newer@test", hands=0, busy=0, version="9.0.0")
    return photos


def test_a_message_whose_form_or_name_is_not_known_costs_its_photo_nothing(fleet: Build) -> None:
    crew = fleet(workers=0, job_min_s=10, job_max_s=20)
    crew.enqueue(crew.photos(3))
    # Somebody else lives meanwhile, or the leases would be taken back when the sender goes.
    crew._ask(lambda ledger: _beat(crew))
    parts, keyword, unknown = asyncio.run(dispatched(crew, 3))
    app = Celery("newer", broker=crew.redis.url, set_as_current=False)

    def send(name: str, sent: Dispatched, *more: str, **keywords: object) -> None:
        leases = [[sent.key, sent.token, sent.label, *more]]
        app.send_task(f"stagecrew.{name}", args=[leases], kwargs=keywords, queue=QUEUE, ignore_result=True)

    send("ingest_source", parts, "what a later release adds")
    send("ingest_source", keyword, later=True)
    send("polish", unknown)
    app.close()
    crew.start_worker()
    crew.wait_for_all(3)
    assert crew.check_books(staged=3)["jobs_created"] == 3
    assert crew.logs().count("a newer release's message is left to its workers") >= 2


async def _beat(crew: Fleet) -> None:
    async with open_services(crew.settings) as services:
        await services.admission.heartbeat("other@test", hands=1, busy=0, version="9.0.0")
