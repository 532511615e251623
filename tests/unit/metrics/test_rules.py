"""Alerts, dashboard and documents: what they name exists, and every alert has its section and fires when it should."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from config.settings import Settings, load_settings
from tests.unit.metrics.promql import Scrapes, Vector, evaluate, names, scrape
from worker.core.decide import fail
from worker.core.delivery import Settlement, Word
from worker.core.photo import NewListing, NewPhoto, Stage
from worker.core.request import canonical_request
from worker.core.step import Ending, Step
from worker.flow.dispatching import Orders
from worker.gateway.metrics import PictureCollector, picture_of
from worker.katalo.accounting import usage_of
from worker.ledger.inbox import Outcome
from worker.metrics.catalogue import BY_NAME, PREFIX, Kind
from worker.metrics.document import FIGURES
from worker.metrics.meters import Meter, Meters
from worker.services import Account, open_account

ROOT = Path(__file__).parents[3]
RULES_FILE = ROOT / "deploy" / "prometheus" / "alerts.yml"
RULES: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in yaml.safe_load(RULES_FILE.read_text())["groups"] for rule in group["rules"]
}
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "stagecrew.json").read_text())
PANELS = {panel["title"]: panel for panel in DASHBOARD["panels"] if panel["type"] != "row"}
QUERIES = {
    f"{title} {target['refId']}": target["expr"].replace("$__rate_interval", "5m")
    for title, panel in PANELS.items()
    for target in panel["targets"]
}
HOUR_MS = 3_600_000


def shown() -> set[str]:
    """Return every name under which a series of the catalogue can be asked for."""
    found = set()
    for metric in BY_NAME.values():
        parts = ("_bucket", "_sum", "_count") if metric.kind is Kind.HISTOGRAM else ("",)
        found |= {f"{metric.shown}{part}" for part in parts}
    return found


@pytest.mark.parametrize("query", [*QUERIES.values(), *FIGURES.values()], ids=[*QUERIES, *FIGURES])
def test_a_query_parses_and_names_metrics_that_exist(query: str) -> None:
    asked = names(query)
    assert asked
    assert {name for name in asked if not name.startswith("process_")} <= shown()


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_an_alert_parses_names_metrics_that_exist_and_says_what_to_do(rule: dict[str, Any]) -> None:
    assert names(rule["expr"])
    assert names(rule["expr"]) <= shown()
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    notes = rule["annotations"]
    assert notes["summary"]
    assert notes["description"]
    file, _, anchor = notes["runbook_url"].partition("#")
    heading = f"## Alert: {rule['alert']}"
    assert anchor == heading.removeprefix("## ").lower().replace(":", "").replace(" ", "-")
    section = (ROOT / file).read_text("utf-8").split(f"{heading}\n")[1].split("\n## ")[0]
    assert "**What it means.**" in section
    assert "**What to do.**" in section


def test_the_document_of_alerts_tells_of_no_other() -> None:
    told = re.findall(r"^## Alert: (\w+)$", (ROOT / "docs" / "alerts.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(told) == sorted(RULES)


def test_every_metric_but_facts_is_on_the_dashboard_or_in_an_alert() -> None:
    asked = set().union(*map(names, [*QUERIES.values(), *(rule["expr"] for rule in RULES.values())]))
    unseen = {
        metric.shown
        for metric in BY_NAME.values()
        if not {metric.shown, f"{metric.shown}_sum", f"{metric.shown}_bucket"} & asked and metric.kind is not Kind.INFO
    }
    # Raw material for those who look closer.
    assert unseen == {
        f"{PREFIX}{name}"
        for name in (
            "account_paused_by_people", "budget_used", "intake_hand_overs_total", "intake_listings_total",
            "job_price_usd", "jobs_bought", "leases", "sink_given_up_total", "usage_age_seconds",
            "usage_period_end_timestamp_seconds", "webhooks_kept", "worker_busy", "worker_hands", "worker_leads",
        )
    }  # fmt: skip


def test_panels_have_unlike_titles_and_say_what_they_show() -> None:
    assert len(PANELS) == sum(panel["type"] != "row" for panel in DASHBOARD["panels"])
    assert all(panel["description"].endswith(".") for panel in PANELS.values())


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_promtool_finds_nothing_to_say_about_the_rules(tmp_path: Path) -> None:
    for command in (["check", "rules", "alerts.yml"], ["check", "config", "--lint=all", "prometheus.yml"]):
        found = subprocess.run(
            ["promtool", *command], cwd=RULES_FILE.parent, capture_output=True, text=True, check=False
        )
        assert found.returncode == 0, found.stdout + found.stderr


# What a fleet looks like when each alert fires: changes between two scrapes of a fleet that is well.


async def enqueue(account: Account, count: int = 1, listing: str = "a") -> None:
    photos = tuple(
        NewPhoto(photo_id=str(n), request=canonical_request(source=f"/{listing}/{n}.jpg", mode="clean"), metadata={})
        for n in range(count)
    )
    await account.ledger.enqueue([NewListing(listing_id=listing, partner="acme", photos=photos, metadata={})])


async def settle(account: Account, step: Step) -> None:
    """Enqueue one photo and let its first step end so."""
    await enqueue(account)
    orders = await account.dispatching.dispatch("w1")
    assert isinstance(orders, Orders)
    sent = orders.photos[0]
    batch = await account.ledger.open(sent.step, [(sent.key, sent.token)])
    assert await account.ledger.settle(batch.opened[0].photo, step)


async def long_ago(account: Account) -> None:
    """Push the ledger's clock back."""
    account.ledger.clock = str(await account.scripts.now_ms() - HOUR_MS)


async def no_worker(account: Account) -> None:
    await account.redis.delete(*(f"{account.scripts.root}{key}" for key in ("workers", "leader")))


async def no_leader(account: Account) -> None:
    await account.redis.delete(f"{account.scripts.root}leader")


async def parked(account: Account) -> None:
    await account.parking.park("401 invalid_api_key", at_least_ms=0)


async def disabled(account: Account) -> None:
    await account.usage.write(usage_of({"entitlement": {"enabled": False}}))


async def refused(account: Account) -> None:
    for _ in range(6):
        await account.admission.refused("generations", 1)


async def failed(account: Account) -> None:
    await settle(account, fail("source_unusable", "it is no picture"))


async def uncertain(account: Account) -> None:
    await settle(account, Step(ending=Ending.FAIL, stage=Stage.UNCERTAIN, error_code="outcome_unknown"))


async def stuck(account: Account) -> None:
    await long_ago(account)
    await enqueue(account)


async def idle(account: Account) -> None:
    await enqueue(account, 201)


async def overdue(account: Account) -> None:
    await long_ago(account)
    await settle(account, Step(ending=Ending.WAIT, stage=Stage.INGESTING))


async def held(account: Account) -> None:
    now_ms = await account.scripts.now_ms()
    await account.redis.set(f"{account.scripts.root}boot", now_ms + 60_000)


async def capped(account: Account) -> None:
    await enqueue(account)
    told = {"cap": "day", "number": 1, "since_ms": 0, "until_ms": 0}
    redis: Any = account.redis
    await redis.hset(f"{account.scripts.root}capped_why", "partner:acme", json.dumps(told))


async def lagging(account: Account) -> None:
    """An entry's age is its id's, which is Redis's own clock."""
    entry = f"{await account.scripts.now_ms() - HOUR_MS}-0"
    redis: Any = account.redis
    await redis.xadd(f"{account.scripts.root}outbox:crm", {"listing": "a", "event": "{}"}, id=entry)
    await redis.hincrby(f"{account.scripts.root}sinks", "put:crm", 1)


def sink(word: Word) -> Callable[[Account], Awaitable[None]]:
    async def change(account: Account) -> None:
        outbox = account.ledger.outbox
        await account.ledger.announce('{"id":"1","type":"t"}', order="a listing")
        claim = await outbox.claim("crm", "pump", lease_ms=5_000, room=1, busy=())
        await outbox.settle("crm", [(letter, Settlement(word=word, wait_ms=1, reason="r")) for letter in claim.letters])

    return change


async def silent(account: Account) -> None:
    await account.inbox.count(Outcome.KEPT)
    await account.redis.set(f"{account.scripts.root}unheard", 21)


async def forged(account: Account) -> None:
    for _ in range(6):
        await account.inbox.count(Outcome.REFUSED)


#: Alerts that a change of the ledger brings; no others may.
FLEET: dict[str, tuple[set[str], Callable[[Account], Awaitable[None]]]] = {
    "no worker lives": ({"NoWorkers"}, no_worker),
    "no worker leads": ({"NoLeader"}, no_leader),
    "the API refuses the account": ({"AccountParked"}, parked),
    "the entitlement ended": ({"ApiDisabled"}, disabled),
    "calls are refused": ({"CallsRefused"}, refused),
    "a photo has failed": ({"DeadLetters"}, failed),
    "an outcome is uncertain": ({"PhotosUncertain"}, uncertain),
    "the backlog does not move": ({"BacklogStuck"}, stuck),
    "slots are idle": ({"SlotsIdle"}, idle),
    "a step is late": ({"StepsOverdue"}, overdue),
    "Redis restarted": ({"BudgetsHeld"}, held),
    "a cap is reached": ({"CapReached"}, capped),
    "a sink is down": ({"SinkDown"}, sink(Word.DOWN)),
    "a message waits": ({"SinkLag"}, lagging),
    "a message was given up": ({"SinkDeadLetters"}, sink(Word.DEAD)),
    "webhooks stopped": ({"WebhooksSilent"}, silent),
    "webhooks are forged": ({"WebhooksRefused"}, forged),
}


def unserved(meter: Meter, meters: Meters) -> None:
    meter.not_serving()


def failing(meter: Meter, meters: Meters) -> None:
    for stage in ["done"] * 20 + ["failed"] * 6:
        meter.ended(stage, 30)


def broken(meter: Meter, meters: Meters) -> None:
    meter.error("announce")


def starved(meter: Meter, meters: Meters) -> None:
    for _ in range(10):
        meters.loop_lag(0.8)


#: The same of what a worker counts.
WORKER: dict[str, tuple[set[str], Callable[[Meter, Meters], None]]] = {
    "an account is not served": ({"NotServing"}, unserved),
    "many photos fail": ({"PhotosFail"}, failing),
    "a step meets a defect": ({"UnforeseenErrors"}, broken),
    "the loop is starved": ({"LoopHangs"}, starved),
}


@pytest.fixture
def settings(redis_url: str) -> Settings:
    """An account with a sink that has an outbox."""
    return load_settings({"STAGECREW_REDIS_URL": redis_url, "STAGECREW_COMPLETIONS_URL": "celery://theirs.done#crm"})


async def page(account: Account) -> dict[str, Vector]:
    registry = CollectorRegistry()
    registry.register(PictureCollector([await picture_of(account)]))
    return scrape(generate_latest(registry).decode(), job="stagecrew-gateway", instance="gateway")


async def around(settings: Settings, change: Callable[[Account], Awaitable[None]]) -> Scrapes:
    """Return the scrapes before and after a change of a fleet that is well."""
    async with open_account(settings) as account:
        await account.ledger.unused_api()
        await account.admission.heartbeat("w1", hands=8, busy=0, version="1")
        await account.dispatching.dispatch("w1")
        await enqueue(account, listing="earlier")
        await page(account)
        # All scripts are loaded by now; the first of them took the empty cache for a restart.
        await account.redis.set(f"{account.scripts.root}boot", 0)
        before = await page(account)
        await change(account)
        return Scrapes(before=before, now=await page(account))


def firing(scrapes: Scrapes) -> set[str]:
    return {name.removeprefix("Stagecrew") for name, rule in RULES.items() if evaluate(rule["expr"], scrapes)}


@pytest.mark.parametrize(("alerts", "change"), FLEET.values(), ids=FLEET)
def test_an_alert_fires_on_what_the_gateway_shows(
    settings: Settings, alerts: set[str], change: Callable[[Account], Awaitable[None]]
) -> None:
    assert firing(asyncio.run(around(settings, change))) == alerts


@pytest.mark.parametrize(("alerts", "change"), WORKER.values(), ids=WORKER)
def test_an_alert_fires_on_what_a_worker_shows(
    settings: Settings, alerts: set[str], change: Callable[[Meter, Meters], None]
) -> None:
    async def nothing(_: Account) -> None: ...

    fleet = asyncio.run(around(settings, nothing))
    meters = Meters()
    meter = meters.account("default")
    meter.serving(hands=8, busy=lambda: 0)
    target = {"job": "stagecrew-worker", "instance": "worker"}
    before = scrape(generate_latest(meters.registry).decode(), **target)
    assert firing(Scrapes(before=fleet.now | before, now=fleet.now | before)) == set(), "all is well"
    change(meter, meters)
    now = scrape(generate_latest(meters.registry).decode(), **target)
    assert firing(Scrapes(before=fleet.now | before, now=fleet.now | now)) == alerts


def test_a_fleet_that_nobody_scrapes_is_told_of_and_every_alert_has_its_case() -> None:
    assert firing(Scrapes(before={}, now={})) == {"NotScraped"}
    cases = set().union(*(alerts for alerts, _ in [*FLEET.values(), *WORKER.values()])) | {"NotScraped"}
    assert {f"Stagecrew{name}" for name in cases} == set(RULES)


def test_a_backlog_that_a_person_has_paused_is_not_stuck(settings: Settings) -> None:
    async def paused(account: Account) -> None:
        await stuck(account)
        now_ms = await account.scripts.now_ms()
        told = {"since_ms": now_ms, "note": "month's end", "by": "ann"}
        redis: Any = account.redis
        await redis.hset(f"{account.scripts.root}paused", "partner:acme", json.dumps(told))

    assert firing(asyncio.run(around(settings, paused))) == set()


def test_a_partner_that_has_no_series_of_its_own_any_more_has_not_failed_anew() -> None:
    def failed_of(partner: str, photos: int) -> dict[str, Vector]:
        return scrape(f'stagecrew_photos{{account="default",partner="{partner}",stage="failed"}} {photos}\n')

    before, same, more = failed_of("acme", 3), failed_of("(others)", 3), failed_of("(others)", 5)
    rule = RULES["StagecrewDeadLetters"]["expr"]
    assert evaluate(rule, Scrapes(before=before, now=same)) == {}
    assert list(evaluate(rule, Scrapes(before=before, now=more)).values()) == [2]
