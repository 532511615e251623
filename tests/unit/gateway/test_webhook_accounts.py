"""Webhooks of several accounts: whose one is, its signature says; a path that is wrong or stale loses nothing."""

from __future__ import annotations

import pytest

from tests.unit.gateway.conftest import PATH, Door, Open, completed

SECRETS = {"default": ("hush-default",), "acme": ("hush-new", "hush-old"), "bare": ()}


@pytest.fixture
def door(gateway: Open) -> Door:
    """A gateway of three accounts, one of which has no secret."""
    return gateway(secrets=lambda: SECRETS)


@pytest.mark.parametrize("path", [PATH, f"{PATH}/acme", f"{PATH}/default", f"{PATH}/bare", f"{PATH}/gone"])
@pytest.mark.parametrize(("secret", "owner"), [("hush-default", "default"), ("hush-new", "acme"), ("hush-old", "acme")])
def test_a_webhook_is_kept_for_the_account_whose_secret_signed_it(
    door: Door, path: str, secret: str, owner: str
) -> None:
    assert door.send(completed(), secret=secret, path=path).json() == {"outcome": "kept"}
    assert {account: door.counts(account) for account in SECRETS} == {
        account: {"kept": 1} if account == owner else {} for account in SECRETS
    }


@pytest.mark.parametrize(("path", "counted"), [("", "default"), ("/acme", "acme"), ("/gone", "default")])
def test_a_forged_one_is_counted_for_the_account_that_its_path_names(door: Door, path: str, counted: str) -> None:
    assert door.send(completed(), secret="guess", path=PATH + path).status_code == 401
    assert door.counts(counted) == {"refused": 1}


def test_one_for_an_account_without_a_secret_is_to_come_again(door: Door) -> None:
    assert door.send(completed(), secret="not known yet", path=f"{PATH}/bare").status_code == 503
    assert door.counts("bare") == {}


def test_a_secret_that_changes_counts_from_the_next_webhook_on(gateway: Open) -> None:
    secrets = {"default": ("hush-old",)}
    door = gateway(secrets=lambda: secrets)
    assert door.send(completed("a"), secret="hush-new").status_code == 401
    secrets["default"] = ("hush-new", "hush-old")
    assert door.send(completed("a"), secret="hush-new").status_code == 200


def test_metrics_and_health_are_of_all_accounts(door: Door) -> None:
    door.send(completed(), secret="hush-old")
    text = door.http.get("/metrics").text
    assert 'stagecrew_webhooks_total{account="acme",outcome="kept"} 1.0' in text
    assert 'stagecrew_webhooks_total{account="default",outcome="kept"} 0.0' in text
    assert text.count("# TYPE stagecrew_webhooks_total counter") == 1
    assert door.http.get("/readyz").status_code == 200
