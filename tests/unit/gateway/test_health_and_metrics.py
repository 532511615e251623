"""Health and metrics: what monitoring asks, and what it is told."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as families

from config.settings import Settings, load_settings
from tests.unit.gateway.conftest import Door, Open, completed
from worker.core.delivery import Settlement, Word
from worker.core.photo import NewListing, NewPhoto, Stage
from worker.core.request import canonical_request
from worker.katalo.accounting import usage_of
from worker.ledger.inbox import Outcome
from worker.metrics.catalogue import FLEET, Kind
from worker.metrics.partners import MOST_PARTNERS, OTHERS
from worker.services import open_account

NO_REDIS = "redis://127.0.0.1:1/0"


def scrape(door: Door) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Return the samples by name and labels."""
    answer = door.http.get("/metrics")
    assert answer.status_code == 200
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in families(answer.text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def labels(**more: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted({"account": "default", **more}.items()))


async def fill(settings: Settings) -> None:
    """Enqueue two partners' photos and let a worker live and lead."""
    photo = NewPhoto(photo_id="1", request=canonical_request(source="/a.jpg", mode="clean"), metadata={})
    async with open_account(settings) as account:
        await account.ledger.unused_api()
        for listing, partner in (("a", 'acme "north"\n'), ("b", "globex"), ("c", "globex")):
            await account.ledger.enqueue(
                [NewListing(listing_id=listing, partner=partner, photos=(photo,), metadata={})]
            )
        await account.admission.heartbeat("w1", hands=8, busy=3, version="1")
        await account.dispatching.dispatch("w1")
        await account.admission.refused("generations", 60_000)


def test_it_lives_and_is_ready(door: Door) -> None:
    assert door.http.get("/healthz").json() == {"status": "ok"}
    assert door.http.get("/readyz").json() == {"status": "ok", "redis": "answers"}


def test_without_redis_it_lives_and_is_not_ready(gateway: Open) -> None:
    door = gateway(redis=NO_REDIS)
    assert door.http.get("/healthz").status_code == 200
    assert door.http.get("/readyz").status_code == 503
    assert door.http.get("/metrics").status_code == 503


def test_metrics_show_what_the_ledger_shows(door: Door, settings: Settings) -> None:
    asyncio.run(fill(settings))
    found = scrape(door)
    photos = found["stagecrew_photos"]
    assert photos[labels(partner="globex", stage="failed")] == 0, "a series begins before its first photo"
    assert {key: value for key, value in photos.items() if value} == {
        labels(partner='acme "north"\n', stage="accepted"): 1,
        labels(partner="globex", stage="accepted"): 2,
    }
    assert (found["stagecrew_slots_used"][labels()], found["stagecrew_slots"][labels()]) == (0, 50)
    assert found["stagecrew_budget_left"][labels(route="generations")] == 120
    assert 0 < found["stagecrew_budget_paused_seconds"][labels(route="generations")] <= 60
    assert found["stagecrew_refusals_total"][labels(route="generations")] == 1
    assert found["stagecrew_workers"][labels()] == found["stagecrew_leaders"][labels()] == 1
    assert found["stagecrew_worker_busy"] == {labels(worker="w1"): 3}
    assert found["stagecrew_worker_leads"] == {labels(worker="w1"): 1}
    assert found["stagecrew_backlog_photos"] == {
        labels(partner='acme "north"\n', backlog="source", stopped="false"): 1,
        labels(partner="globex", backlog="source", stopped="false"): 2,
    }
    assert labels() in found["stagecrew_leases"]
    assert found["process_cpu_seconds_total"][()] > 0


def test_metrics_show_what_is_left_what_was_bought_and_who_waits_for_a_cap(door: Door, settings: Settings) -> None:
    async def spend() -> None:
        async with open_account(settings) as account:
            usage = {
                "entitlement": {"enabled": False},
                "billing_period": {"start_at": "2026-11-01T00:00:00Z", "end_at": "2026-12-01T00:00:00Z"},
                "usage": {"included": 10, "consumed": "7.5"},
                "jobs": {"total": 8},
            }
            await account.usage.write(usage_of(usage))
            root = account.scripts.root
            now_ms = (await account.ledger.snapshot()).now_ms
            spent = {"account": "3", "partner:globex": "2", "partner:gone": "1"}
            await account.redis.hset(f"{root}spend:{now_ms // 86_400_000}", mapping=spent)  # type: ignore[misc]
            await account.redis.hset(f"{root}totals", "bought", "9")  # type: ignore[misc]
            await account.redis.hset(f"{root}prices", "generation", "0.24")  # type: ignore[misc]
            why = {"cap": "day", "number": 2, "since_ms": now_ms, "until_ms": now_ms}
            await account.redis.hset(f"{root}capped_why", "partner:globex", json.dumps(why))  # type: ignore[misc]

    asyncio.run(fill(settings))
    asyncio.run(spend())
    found = scrape(door)
    assert found["stagecrew_jobs_bought_today"][labels()] == 3
    assert found["stagecrew_partner_jobs_bought_today"] == {labels(partner="globex"): 2, labels(partner="(others)"): 1}
    assert found["stagecrew_jobs_bought"] == {labels(): 9}
    assert found["stagecrew_job_price_usd"] == {labels(usage="generation"): 0.24}
    assert found["stagecrew_photos_capped"] == {labels(partner="globex", cap="day"): 2}
    assert found["stagecrew_usage_enabled"] == {labels(): 0}
    assert found["stagecrew_usage_period_end_timestamp_seconds"] == {labels(): 1_796_083_200}
    assert found["stagecrew_usage"] == {
        labels(number="included"): 10,
        labels(number="consumed"): 7.5,
        labels(number="jobs_total"): 8,
    }


def test_webhooks_are_counted_by_outcome_from_zero_on(door: Door) -> None:
    assert scrape(door)["stagecrew_webhooks_total"] == {labels(outcome=outcome.value): 0 for outcome in Outcome}
    for _ in range(2):
        door.send(completed())
    door.send(completed(), secret="guess")
    found = scrape(door)["stagecrew_webhooks_total"]
    assert {dict(key)["outcome"]: value for key, value in found.items() if value} == {
        "kept": 1, "duplicate": 1, "refused": 1,
    }  # fmt: skip
    assert scrape(door)["stagecrew_webhooks_kept"][labels()] == 1


def test_a_sink_shows_what_waits_for_it_from_zero_on(gateway: Open, redis_url: str) -> None:
    sinks = {"STAGECREW_COMPLETIONS_URL": "celery://theirs.done#crm"}
    door, crm = gateway(**sinks), labels(sink="crm")
    names = [
        f"stagecrew_sink_{name}" for name in ("waiting", "dead_letters", "down", "delivered_total", "given_up_total")
    ]
    found = scrape(door)
    assert [found[name] for name in names] == [{crm: 0}] * 5

    async def deliver() -> None:
        """Of four messages one is delivered, one is given up, at one the sink is found down, and one waits."""
        async with open_account(load_settings({"STAGECREW_REDIS_URL": redis_url, **sinks})) as account:
            outbox = account.ledger.outbox
            for number in range(4):
                await account.ledger.announce(f'{{"id":"{number}","type":"t"}}', order=f"listing {number}")
            claim = await outbox.claim("crm", "pump", lease_ms=5_000, room=3, busy=())
            words = (Word.DELIVERED, Word.DEAD, Word.DOWN)
            settled = [Settlement(word=word, wait_ms=60_000, reason="r") for word in words]
            assert await outbox.settle("crm", list(zip(claim.letters, settled, strict=True))) == 3

    asyncio.run(deliver())
    found = scrape(door)
    assert [found[name][crm] for name in names] == [2, 1, 1, 1, 1]
    assert found["stagecrew_sink_oldest_seconds"][crm] >= 0


def test_a_gateway_shows_metrics_of_the_catalogue_as_it_has_them(door: Door, settings: Settings) -> None:
    asyncio.run(fill(settings))
    by_name = {metric.shown.removesuffix("_total"): metric for metric in FLEET}
    for family in families(door.http.get("/metrics").text):
        if not family.name.startswith("process_"):
            metric = by_name[family.name]
            assert family.documentation == metric.said
            assert family.type == ("gauge" if metric.kind is Kind.INFO else metric.kind.value)
            assert all(set(sample.labels) == set(metric.labels) for sample in family.samples)


def test_a_thousand_partners_are_not_a_thousand_series(door: Door, settings: Settings) -> None:
    async def enqueue() -> None:
        photo = NewPhoto(photo_id="1", request=canonical_request(source="/a.jpg", mode="clean"), metadata={})
        async with open_account(settings) as account:
            await account.ledger.enqueue(
                NewListing(listing_id=f"{n}", partner=f"p{n}", photos=(photo,), metadata={}) for n in range(1000)
            )

    asyncio.run(enqueue())
    found = scrape(door)
    assert len(found["stagecrew_photos"]) == (MOST_PARTNERS + 1) * len(Stage)
    for name in ("stagecrew_backlog_photos", "stagecrew_backlog_oldest_seconds"):
        assert len(found[name]) == MOST_PARTNERS + 1
    assert found["stagecrew_photos"][labels(partner=OTHERS, stage="accepted")] == 1000 - MOST_PARTNERS
    assert sum(found["stagecrew_backlog_photos"].values()) == 1000


@pytest.mark.parametrize("accept", ["application/openmetrics-text; version=1.0.0", "text/plain", "*/*", "\xff;q=x"])
def test_a_scraper_gets_the_format_it_asks_for(door: Door, accept: str) -> None:
    headers: Any = {"accept": accept.encode("latin-1")}
    answer = door.http.get("/metrics", headers=headers)
    assert answer.status_code == 200
    asked = "openmetrics" in accept
    assert answer.headers["content-type"].startswith("application/openmetrics-text" if asked else "text/plain")
    assert {family.name for family in (openmetrics if asked else families)(answer.text)} > {"stagecrew_slots"}
