"""Keys that sign messages, TLS to Redis, and the Redis user of few rights."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import Any

import pytest

from config.celeryconfig import celery_settings
from config.messages import MessageKeys
from config.redis_tls import redis_options
from config.settings import Settings, SettingsError, load_settings

ROOT = Path(__file__).parents[3]
OLD, NEW = "the-old-key-of-the-tests", "the-new-key-of-the-tests"


def of(**variables: str) -> Settings:
    return load_settings(variables)


def test_any_key_is_accepted_and_the_first_one_signs() -> None:
    both, old = MessageKeys.of(f"{NEW}, {OLD}"), MessageKeys.of(OLD)
    signature = both.sign("stagecrew.announce", "id", [1], {"a": "ü"})
    assert signature == MessageKeys.of(NEW).sign("stagecrew.announce", "id", [1], {"a": "ü"})
    assert both.signed(old.sign("t", "id", [1], {}), "t", "id", [1], {})
    assert not old.signed(signature, "stagecrew.announce", "id", [1], {"a": "ü"})


@pytest.mark.parametrize(
    ("task", "name", "args", "kwargs"),
    [
        ("another", "id", [1], {"a": 1}),
        ("task", "another", [1], {"a": 1}),
        ("task", "id", [2], {"a": 1}),
        ("task", "id", [1], {"a": 2}),
        ("task", "id", [1], {"a": object()}),
        ("task", "id", [float("nan")], {}),
    ],
)
def test_a_signature_is_of_one_task_id_and_arguments(task: str, name: str, args: list[Any], kwargs: Any) -> None:
    keys = MessageKeys.of(NEW)
    assert not keys.signed(keys.sign("task", "id", [1], {"a": 1}), task, name, args, kwargs)


@pytest.mark.parametrize("signature", [None, "", "0" * 64, 7, b"x", "ä" * 64, ["a"]])
def test_what_is_no_signature_signs_nothing(signature: object) -> None:
    assert not MessageKeys.of(NEW).signed(signature, "task", "id", [], {})


def test_a_signature_is_the_one_that_the_document_tells_other_languages_to_make() -> None:
    keys = MessageKeys.of("0123456789abcdef")
    said = '["stagecrew.enqueue","7f",[],{"listings":[{"listing_id":"\\u00fc","photos":[]}]}]'
    import hashlib
    import hmac

    by_hand = hmac.new(b"0123456789abcdef", said.encode(), hashlib.sha256).hexdigest()
    assert keys.sign("stagecrew.enqueue", "7f", [], {"listings": [{"photos": [], "listing_id": "ü"}]}) == by_hand


@pytest.mark.parametrize("value", ["short", f"{NEW},short", ",", "ä" * 20])
def test_a_key_that_can_not_be_one_is_a_clear_error_without_it(value: str) -> None:
    with pytest.raises(SettingsError, match="STAGECREW_MESSAGE_KEY: ") as caught:
        of(STAGECREW_MESSAGE_KEY=value)
    assert value == "," or value not in str(caught.value)


def test_keys_are_in_no_repr_or_dump() -> None:
    settings = of(STAGECREW_MESSAGE_KEY=NEW)
    assert NEW not in f"{settings!r} {settings.message_key!r} {settings.model_dump_json()} {settings.model_dump()}"


def test_with_a_key_there_is_no_remote_control_because_it_can_not_be_signed() -> None:
    assert celery_settings(of())["worker_enable_remote_control"] is True
    assert celery_settings(of(STAGECREW_MESSAGE_KEY=NEW))["worker_enable_remote_control"] is False


def test_only_json_is_read_and_written() -> None:
    found = celery_settings(of())
    assert {found[f"{name}_serializer"] for name in ("task", "result", "event")} == {"json"}
    assert found["accept_content"] == found["result_accept_content"] == ["json"]


def test_tls_checks_the_server_for_the_ledger_and_the_broker_alike(tmp_path: Path) -> None:
    """Left to itself, kombu would take any certificate on a `rediss://` broker."""
    pem = tmp_path / "ca.pem"
    pem.write_text("a certificate")
    settings = of(STAGECREW_REDIS_URL="rediss://r.example:6380/0", STAGECREW_REDIS_CA_FILE=str(pem))
    assert redis_options(settings) == {"ssl_ca_certs": str(pem)}
    broker = celery_settings(settings)["broker_use_ssl"]
    assert broker == {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True, "ssl_ca_certs": str(pem)}


@pytest.mark.parametrize("url", ["redis://r.example/0", "unix:///run/redis.sock"])
def test_without_tls_there_are_no_files_of_it(url: str, tmp_path: Path) -> None:
    pem = tmp_path / "ca.pem"
    pem.write_text("a certificate")
    settings = of(STAGECREW_REDIS_URL=url, STAGECREW_REDIS_CA_FILE=str(pem))
    assert redis_options(settings) == {}
    assert celery_settings(settings)["broker_use_ssl"] is None


def test_a_broker_elsewhere_and_a_url_that_says_it_all_are_left_alone() -> None:
    for url in ("amqps://mq.example", "rediss://r.example/0?ssl_cert_reqs=required&ssl_ca_certs=/ca.pem"):
        assert celery_settings(of(STAGECREW_BROKER_URL=url))["broker_use_ssl"] is None


def test_a_file_that_can_not_be_read_is_a_clear_error() -> None:
    with pytest.raises(SettingsError, match=r"STAGECREW_REDIS_CA_FILE: /no/ca\.pem can't be read .* give a PEM file"):
        of(STAGECREW_REDIS_CA_FILE="/no/ca.pem")


def test_the_redis_user_may_run_every_command_of_the_scripts() -> None:
    [line] = (ROOT / "deploy" / "redis" / "stagecrew.acl").read_text().splitlines()
    allowed = {rule[1:] for rule in line.split() if rule.startswith("+")}
    used = {
        command.lower()
        for path in (ROOT / "worker").rglob("*.lua")
        for command in re.findall(r"redis\.p?call\(\s*['\"](\w+)['\"]", path.read_text())
    }
    assert len(used) > 20
    assert used - allowed == set()
    assert "-@all" in line
