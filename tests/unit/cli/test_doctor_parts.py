"""The doctor on real parts that fail: each is one finding with cause and remedy, without a traceback or a secret."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
from redis import Redis
from typer.testing import CliRunner

from config.settings import Settings, load_settings
from worker.cli import app, checks
from worker.cli.finding import Finding, schema
from worker.sandbox.config import SandboxConfig
from worker.sandbox.running import RunningSandbox, running_sandbox

#: Everything is away, and every URL has a secret in it.
KEY, PASSWORD = "kat_live_public.hidden", "hunter2"


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address of this machine where nobody answers, for as long as the test runs."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox(SandboxConfig(speed=1000)) as running:
        yield running


def test_a_redis_that_could_lose_photos(settings: Settings) -> None:
    careless = {"maxmemory-policy": "allkeys-lru", "appendonly": "no"}
    with Redis.from_url(settings.redis_url_text, decode_responses=True) as client:
        before = {name: client.config_get(name)[name] for name in careless}
        for name, value in careless.items():
            client.config_set(name, value)
        try:
            found = {finding.part: finding for finding in asyncio.run(checks.redis_of(settings))}
        finally:
            for name, value in before.items():
                client.config_set(name, value)
    marks = [found[part].mark for part in ("redis", "redis eviction", "redis persistence")]
    assert marks == ["ok", "bad", "note"]
    assert "set maxmemory-policy noeviction" in str(found["redis eviction"])
    assert "set appendonly yes" in str(found["redis persistence"])


def test_a_broker_that_is_away(nobody: str) -> None:
    found = checks.broker(load_settings({"STAGECREW_BROKER_URL": f"redis://:{PASSWORD}@{nobody}/0"}))
    assert (found.mark, "STAGECREW_BROKER_URL" in found.remedy, PASSWORD in str(found)) == ("bad", True, False)


def test_a_store_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", "utf-8")
    settings = load_settings({"STAGECREW_STORAGE_URL": (tmp_path / "file" / "below").as_uri()})
    found = asyncio.run(checks.storage(settings))
    assert found.mark == "bad"
    assert "STAGECREW_STORAGE_URL" in found.remedy


def test_a_sink_that_is_away(nobody: str) -> None:
    settings = load_settings(
        {
            "STAGECREW_COMPLETIONS_URL": f"http://{nobody}/hook#crm",
            "STAGECREW_COMPLETIONS_SECRET": "whsec_" + "c2VjcmV0" * 4,
            "STAGECREW_ALLOW_PRIVATE_HOSTS": "true",
        }
    )
    [found] = asyncio.run(checks.sinks(settings))
    assert (found.part, found.mark) == ("sink crm", "bad")


@pytest.mark.parametrize(
    ("faults", "mark", "said"),
    [
        ({}, "ok", "included 10,000, consumed 0, remaining 10,000, until "),
        ({"key_revoked": True}, "bad", "(401 unauthorized)"),
        ({"entitlement_ended": True}, "bad", "may not use the API"),
        ({"api_down": True}, "bad", "photos wait and nothing is lost"),
    ],
)
def test_an_api_that_refuses_or_is_away(sandbox: RunningSandbox, nobody: str, faults, mark, said) -> None:
    found = _api(sandbox, f"redis://{nobody}/0", **faults)
    assert found.mark == mark
    assert said in str(found)
    assert KEY not in str(found)


def test_the_doctor_takes_its_reads_from_the_budget_like_everybody(sandbox: RunningSandbox, redis_url: str) -> None:
    """An emptied Redis counts as a whole window spent."""
    found = _api(sandbox, redis_url)
    assert (found.mark, "the budget of usage reads gives none for" in found.text) == ("note", True)


def test_a_key_that_is_no_key(sandbox: RunningSandbox, nobody: str) -> None:
    found = _api(sandbox, f"redis://{nobody}/0", key=KEY)
    assert (found.mark, KEY in str(found), "hidden" in str(found)) == ("bad", False, False)


def test_everything_away_is_said_line_by_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, nobody: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("in the way", "utf-8")
    for name, value in {
        "STAGECREW_REDIS_URL": f"redis://:{PASSWORD}@{nobody}/0",
        "STAGECREW_STORAGE_URL": (tmp_path / "file" / "below").as_uri(),
        "STAGECREW_ALLOW_PRIVATE_HOSTS": "true",
        "STAGECREW_WEBHOOK_PUBLIC_URL": f"http://{nobody}",
        "KATALO_BASE_URL": f"http://{nobody}",
        "KATALO_API_KEY": KEY,
        "KATALO_WEBHOOK_SECRET": PASSWORD,
    }.items():
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    *lines, last = result.output.splitlines()
    assert last == "7 checks: 5 bad, 0 to note, 2 ok"
    assert {line.split()[1].rstrip(":") for line in lines if line.startswith("bad ")} == {
        *("redis", "broker", "webhooks", "storage", "katalo"),
    }  # fmt: skip
    assert all("; " in line for line in lines if line.startswith("bad "))
    assert PASSWORD not in result.output
    assert "hidden" not in result.output
    report = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).output)
    jsonschema.validate(report, schema())
    assert report["well"] is False


def _api(sandbox: RunningSandbox, redis: str, *, key: str = "", **faults: bool) -> Finding:
    settings = load_settings(
        {
            "STAGECREW_REDIS_URL": redis,
            "STAGECREW_SPEED": "1000",
            "KATALO_BASE_URL": sandbox.base_url,
            "KATALO_API_KEY": key or sandbox.api_key,
        }
    )
    sandbox.set_faults(**faults)
    try:
        return asyncio.run(checks.api(settings))
    finally:
        sandbox.set_faults(**dict.fromkeys(faults, False))
