"""Celery's and Flower's settings: real ones, and the ones that keep the fleet safe."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from celery import Celery, current_app
from celery.app.defaults import DEFAULTS
from kombu.transport.redis import Channel

from config.celeryconfig import PLAIN_QUEUE, celery_settings, queue_of
from config.settings import load_settings

FLOWER = Path(__file__).parents[3] / "config" / "flowerconfig.py"


def test_every_setting_is_one_that_celery_knows() -> None:
    assert set(celery_settings(load_settings({}))) - set(DEFAULTS) == set()


def test_every_transport_option_is_one_that_kombu_takes() -> None:
    options = celery_settings(load_settings({}))["broker_transport_options"]
    assert set(options) - set(Channel.from_transport_options) == set()


def test_a_message_can_carry_no_code_and_waits_in_nobodys_memory() -> None:
    app = Celery()
    app.config_from_object(celery_settings(load_settings({"STAGECREW_HANDS": "9"})))
    assert app.conf.accept_content == ["json"]
    assert app.conf.worker_prefetch_multiplier == 1
    assert app.conf.worker_concurrency == 9
    assert app.conf.result_backend is None


@pytest.mark.parametrize(("url", "keepalive"), [("unix:///run/redis.sock", False), ("redis://127.0.0.1:6379/0", True)])
def test_a_socket_gets_no_keepalive_which_redis_py_would_refuse(url: str, keepalive: bool) -> None:
    options = celery_settings(load_settings({"STAGECREW_REDIS_URL": url}))["broker_transport_options"]
    assert options["socket_keepalive"] is keepalive


@pytest.fixture
def flowers_app() -> Iterator[Celery]:
    """The app that `-A` names, whose options Flower's settings change in its own process."""
    before, app = current_app._get_current_object(), Celery()
    app.config_from_object(celery_settings(load_settings({})))
    yield app
    before.set_current()


@pytest.mark.usefixtures("flowers_app")
def test_flower_without_a_password_listens_to_this_machine_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STAGECREW_FLOWER_AUTH", raising=False)
    settings = runpy.run_path(str(FLOWER))
    assert settings["address"] == "127.0.0.1"
    assert "basic_auth" not in settings


@pytest.mark.usefixtures("flowers_app")
def test_flower_with_a_password_asks_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STAGECREW_FLOWER_AUTH", "me:secret")
    settings = runpy.run_path(str(FLOWER))
    assert settings["basic_auth"] == ["me:secret"]
    assert "address" not in settings


def test_flower_puts_no_message_back_whoever_is_slow_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flowers_app: Celery
) -> None:
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(FLOWER))
    assert flowers_app.conf.broker_transport_options["visibility_timeout"] > 365 * 86_400


@pytest.mark.parametrize(
    ("result", "lines"),
    [
        ("{'b/2': 'go done', 'a/1': 'wait generating'}", "a/1: wait generating\nb/2: go done"),
        ("'3 photos of 1 listing'", "'3 photos of 1 listing'"),
        ("{'a/1': 'go d...", "{'a/1': 'go d..."),
        (None, None),
    ],
)
@pytest.mark.usefixtures("flowers_app")
def test_flower_shows_a_result_as_a_line_a_photo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, result: str | None, lines: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    task = SimpleNamespace(result=result)
    assert runpy.run_path(str(FLOWER))["format_task"](task).result == lines


def test_each_account_has_a_queue_and_threads_of_its_own(tmp_path: Path) -> None:
    accounts = tmp_path / "accounts.json"
    accounts.write_text('{"accounts": {"north": {"api_key": "n"}, "south": {"api_key": "s"}}}')
    environ = {"STAGECREW_ACCOUNTS_FILE": str(accounts), "STAGECREW_HANDS": "9"}
    found = celery_settings(load_settings(environ))
    routed = {queue.name: (queue.exchange.name, queue.routing_key) for queue in found["task_queues"]}
    names = ("stagecrew", "stagecrew-north", "stagecrew-south", "stagecrew.enqueue", "celery")
    assert routed == {name: (name, name) for name in names}, "no queue gets another's messages"
    assert [queue_of(name) for name in ("default", "north")] == ["stagecrew", "stagecrew-north"]
    assert found["worker_concurrency"] == 18
    many = load_settings(environ | {"STAGECREW_HANDS": "900"})
    assert celery_settings(many)["worker_concurrency"] == 1000


@pytest.mark.parametrize(
    ("sinks", "taken"),
    [("", True), ("celery://theirs.done?queue=others", True), ("https://a.example celery://theirs.done", False)],
)
def test_workers_take_nothing_from_a_queue_that_a_sink_fills(sinks: str, taken: bool) -> None:
    """They would give each message back behind later ones, and its listing's order would be lost."""
    environ = {"STAGECREW_COMPLETIONS_URL": sinks, "STAGECREW_COMPLETIONS_SECRET": "a-secret-of-enough-characters"}
    found = celery_settings(load_settings(environ))
    assert (PLAIN_QUEUE in [queue.name for queue in found["task_queues"]]) is taken
