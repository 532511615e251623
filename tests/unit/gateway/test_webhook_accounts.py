"""Webhooks of several accounts: whose one is, its signature says; a path that is wrong or stale loses nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from config.settings import load_settings
from tests.unit.gateway.conftest import PATH, Door, Open, completed
from worker.services import open_services

ACCOUNTS = ("default", "acme", "bare")
FILE = """
[accounts.acme]
api_key = "kat_live_acme.hush"
webhook_secrets = ["hush-new", "hush-old"]

[accounts.bare]
api_key = "kat_live_bare.hush"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An accounts file."""
    path = tmp_path / "accounts.toml"
    path.write_text(FILE)
    path.chmod(0o600)
    return path


@pytest.fixture
def door(gateway: Open, file: Path) -> Door:
    """A gateway of three accounts, one of which has no secret."""
    return gateway(
        STAGECREW_ACCOUNTS_FILE=str(file), KATALO_API_KEY="kat_live_d.hush", KATALO_WEBHOOK_SECRET="hush-default"
    )


@pytest.mark.parametrize("path", [PATH, f"{PATH}/acme", f"{PATH}/default", f"{PATH}/bare", f"{PATH}/gone"])
@pytest.mark.parametrize(("secret", "owner"), [("hush-default", "default"), ("hush-new", "acme"), ("hush-old", "acme")])
def test_a_webhook_is_kept_for_the_account_whose_secret_signed_it(
    door: Door, path: str, secret: str, owner: str
) -> None:
    assert door.send(completed(), secret=secret, path=path).json() == {"outcome": "kept"}
    assert {account: door.counts(account) for account in ACCOUNTS} == {
        account: {"kept": 1} if account == owner else {} for account in ACCOUNTS
    }


@pytest.mark.parametrize(("path", "counted"), [("", "default"), ("/acme", "acme"), ("/gone", "default")])
def test_a_forged_one_is_counted_for_the_account_that_its_path_names(door: Door, path: str, counted: str) -> None:
    assert door.send(completed(), secret="guess", path=PATH + path).status_code == 401
    assert door.counts(counted) == {"refused": 1}


def test_one_for_an_account_without_a_secret_is_to_come_again(door: Door) -> None:
    assert door.send(completed(), secret="not known yet", path=f"{PATH}/bare").status_code == 503
    assert door.counts("bare") == {}


def test_a_secret_that_changes_in_the_file_counts_from_the_next_webhook_on(door: Door, file: Path) -> None:
    assert door.send(completed("a"), secret="hush-newest").status_code == 401
    # An account that is new in the file is for gateways that are started from then on.
    rotated = FILE.replace('["hush-new"', '["hush-newest", "hush-new"')
    late = '[accounts.late]\napi_key = "kat_live_late.hush"\nwebhook_secrets = ["hush-late"]\n'
    file.write_text(f"{rotated}\n{late}")
    assert door.send(completed("a"), secret="hush-late").status_code == 401
    assert door.send(completed("a"), secret="hush-newest").status_code == 200
    assert door.send(completed("b"), secret="hush-new").status_code == 200
    file.write_text("[")
    assert door.send(completed("c"), secret="hush-new").status_code == 200, "a broken file changes nothing"


def test_metrics_and_health_are_of_all_accounts(door: Door) -> None:
    door.send(completed(), secret="hush-old")
    text = door.http.get("/metrics").text
    assert 'stagecrew_webhooks_total{account="acme",outcome="kept"} 1.0' in text
    assert 'stagecrew_webhooks_total{account="default",outcome="kept"} 0.0' in text
    assert text.count("# TYPE stagecrew_webhooks_total counter") == 1
    assert door.http.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    ("accounts", "account", "path"),
    [
        ("", "default", PATH),
        (FILE, "acme", f"{PATH}/acme"),
        (FILE.partition("[accounts.bare]")[0], "acme", PATH),
    ],
    ids=["without a file", "one of several", "the only one"],
)
def test_a_workers_jobs_ask_for_webhooks_at_their_accounts_own_address(
    tmp_path: Path, accounts: str, account: str, path: str
) -> None:
    given = {"STAGECREW_WEBHOOK_PUBLIC_URL": "https://hooks.example.com", "STAGECREW_STORAGE_URL": tmp_path.as_uri()}
    if accounts:
        (tmp_path / "accounts.toml").write_text(accounts)
        given["STAGECREW_ACCOUNTS_FILE"] = str(tmp_path / "accounts.toml")

    async def ask() -> str | None:
        async with open_services(load_settings(given), account) as services:
            return services.webhook_url

    assert asyncio.run(ask()) == f"https://hooks.example.com{path}"
