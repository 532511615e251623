"""Settings: what they are without a word, how they are given, and what is said of wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from config.document import DOCUMENT, RETENTION, render, with_keys
from config.settings import Limit, Settings, SettingsError, load_settings, variable_of, variables


def problems_of(environ: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        load_settings(environ)
    return str(raised.value).splitlines()


def test_without_variables_the_contract_is_in_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings({})
    assert settings.katalo_api_key is None
    assert settings.katalo_base_url == "https://app.katalo.ai"
    assert settings.redis_url_text == settings.broker_url_text == "redis://127.0.0.1:6379/0"
    assert settings.storage_url == f"{tmp_path.as_uri()}/stagecrew-output"
    assert {name: str(getattr(settings.limits, name)) for name in type(settings.limits).model_fields} == {
        "source_assets": "120/60s",
        "generations": "120/60s",
        "regenerate": "120/60s",
        "generation_reads": "1200/60s",
        "ingest_reads": "120/60s",
        "source_fetches": "60/60s",
        "usage": "120/60s",
        "billing": "120/60s",
        "in_flight": "50",
    }


@pytest.mark.parametrize("name", sorted(variables()))
def test_each_variable_reaches_its_setting(name: str) -> None:
    """Given the wrong value it is the one that is named, so it is read; and nothing is missing from this list."""
    wrong = {
        "KATALO_API_KEY": "a b",
        "KATALO_BASE_URL": "app",
        "STAGECREW_COMPLETIONS_SECRET": "whsec_?",
        "KATALO_WEBHOOK_SECRET": "a\nb",
        "STAGECREW_BROKER_URL": None,
        "STAGECREW_GATEWAY_HOST": "http://host",
        "STAGECREW_METRICS_HOST": "http://host",
        "STAGECREW_STATE_DIR": None,
    }
    value = wrong.get(name, "wrong" if name != "STAGECREW_FLOWER_AUTH" else "nobody")
    if value is None:
        settings = load_settings({name: "redis://elsewhere"})
        assert "elsewhere" in settings.broker_url_text + str(settings.state_dir)
    else:
        assert [line.split(":")[0] for line in problems_of({name: value})] == [name]


def test_the_environment_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STAGECREW_LIMITS__GENERATIONS", "60/30s")
    monkeypatch.setenv("STAGECREW_HANDS", "7")
    settings = load_settings()
    assert settings.limits.generations == Limit(count=60, window_s=30)
    assert settings.limits.source_assets == Limit(count=120, window_s=60)
    assert settings.hands == 7


def test_the_environment_wins_over_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("STAGECREW_HANDS=3\nSTAGECREW_LIMITS__IN_FLIGHT=5\nAWS_REGION=eu-west-1\n")
    monkeypatch.setenv("STAGECREW_HANDS", "4")
    settings = load_settings()
    assert (settings.hands, settings.limits.in_flight) == (4, 5)


def test_a_misspelt_variable_in_the_env_file_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("STAGECREW_HAND=3\n")
    with pytest.raises(SettingsError, match="did you mean STAGECREW_HANDS"):
        load_settings()


def test_a_mapping_stands_for_the_whole_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAGECREW_HANDS", "7")
    assert load_settings({}).hands == 64
    assert Settings().hands == 64


def test_an_empty_variable_counts_as_not_set() -> None:
    settings = load_settings({"KATALO_API_KEY": "", "STAGECREW_HANDS": ""})
    assert settings.katalo_api_key is None
    assert "hands" not in settings.model_fields_set


def test_every_problem_is_told_at_once() -> None:
    lines = problems_of({"STAGECREW_HANDS": "many", "STAGECREW_HAND": "1", "STAGECREW_SOURCE_MODE": "fax"})
    assert [line.split(":")[0] for line in lines] == ["STAGECREW_HAND", "STAGECREW_SOURCE_MODE", "STAGECREW_HANDS"]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("STAGECREW_LIMITS__USAGE", "fast", "write calls and window like 120/60s"),
        ("STAGECREW_LIMITS__USAGE", "0/60s", "greater than or equal to 1"),
        ("STAGECREW_LIMITS__USAGE", "120/0s", "greater than 0"),
        ("STAGECREW_LIMITS__USAGE", "120/60", "write calls and window"),
        ("STAGECREW_LIMITS__REGENRATE", "120/60s", "did you mean STAGECREW_LIMITS__REGENERATE?"),
        ("STAGECREW_ACCOUNTS_FILE", "nowhere.toml", "nowhere.toml: it can't be read (No such file or directory)"),
        ("STAGECREW_PARTNER_WEIGHTS", "acme", "'acme' is no weight; write partners with whole numbers from 1 on"),
        ("STAGECREW_PARTNER_WEIGHTS", "acme=0", "greater than or equal to 1"),
        ("STAGECREW_PARTNER_WEIGHTS", "acme=1,acme=2", "there twice"),
        ("STAGECREW_REDIS_URL", "redis://host:port", "no address like rediss://"),
        ("STAGECREW_REDIS_URL", "redis://host/db", "no address like rediss://"),
        ("STAGECREW_BROKER_URL", "redis://host:port", "no address like rediss://"),
        ("STAGECREW_STORAGE_URL", "ftp://host", "s3://"),
        ("STAGECREW_WEBHOOK_PUBLIC_URL", "http://hooks.example.com", "https"),
        ("STAGECREW_WEBHOOK_PUBLIC_URL", "https:///no-host", "https"),
        ("KATALO_WEBHOOK_SECRET", " , ", "separated by commas"),
        ("STAGECREW_SPEED", "20", "real time"),
        ("STAGECREW_KATALO_API_KEY", "key", "did you mean KATALO_API_KEY?"),
        ("STAGECREW_NOTHING_LIKE_IT_AT_ALL", "1", "docs/settings.md"),
    ],
)
def test_a_problem_names_its_remedy(name: str, value: str, said: str) -> None:
    [line] = problems_of({name: value})
    assert line.startswith(f"{name}: ")
    assert said in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KATALO_API_KEY", "hush hush"),
        ("KATALO_WEBHOOK_SECRET", "hush\nhush"),
        ("STAGECREW_REDIS_URL", "http://user:hush@host"),
        ("STAGECREW_REDIS_URL", "redis://:hush/hush@host/0"),
        ("STAGECREW_BROKER_URL", "redis://:hush/hush@host/0"),
        ("STAGECREW_FLOWER_AUTH", "hush"),
    ],
)
def test_a_wrong_secret_is_not_shown(name: str, value: str) -> None:
    assert "hush" not in problems_of({name: value})[0]


def test_secrets_are_in_no_repr() -> None:
    environ = {
        "KATALO_API_KEY": "hush1",
        "KATALO_WEBHOOK_SECRET": "hush2",
        "STAGECREW_REDIS_URL": "redis://:hush3@host/0",
        "STAGECREW_BROKER_URL": "redis://:hush4@host/0",
        "STAGECREW_FLOWER_AUTH": "me:hush5",
        "STAGECREW_COMPLETIONS_URL": "https://me:hush6@hooks.example.com/hush7?key=hush8",
        "STAGECREW_COMPLETIONS_SECRET": "hush9",
    }
    settings = load_settings(environ)
    assert "hush" not in repr(settings) + str(settings) + settings.model_dump_json()
    assert "hush" not in repr(settings.sinks)
    assert settings.redis_url_text == "redis://:hush3@host/0"


def test_several_webhook_secrets_count_while_one_is_rotated() -> None:
    settings = load_settings({"KATALO_WEBHOOK_SECRET": "hush-new, hush-old\thush-older"})
    assert [secret.get_secret_value() for secret in settings.webhook_secrets] == ["hush-new", "hush-old", "hush-older"]
    assert "hush" not in repr(settings) + repr(settings.webhook_secrets)
    assert load_settings({}).webhook_secrets == ()


def test_webhooks_may_come_by_http_where_private_hosts_are_allowed() -> None:
    given = {"STAGECREW_WEBHOOK_PUBLIC_URL": "http://127.0.0.1:8080", "STAGECREW_ALLOW_PRIVATE_HOSTS": "true"}
    assert load_settings(given).webhook_public_url == "http://127.0.0.1:8080"


def test_the_clock_may_run_faster_in_a_sandbox() -> None:
    assert load_settings({"STAGECREW_SPEED": "20", "KATALO_BASE_URL": "http://127.0.0.1:8080"}).speed == 20


def test_a_socket_has_another_name_for_celery() -> None:
    settings = load_settings({"STAGECREW_REDIS_URL": "unix:///run/redis.sock"})
    assert settings.broker_url_text == "redis+socket:///run/redis.sock"


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().hands = 1  # type: ignore[misc]  # what mypy knows, pydantic must see to at run time


def test_every_setting_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_the_document_is_current() -> None:
    """`make docs` writes it."""
    assert DOCUMENT.read_text(encoding="utf-8") == render()
    assert all(f"`{name}`" in render() for name in variables())


def test_a_setting_and_its_variable_have_one_name() -> None:
    assert variable_of("katalo_api_key") == "KATALO_API_KEY"
    assert variable_of("redis_url") == "STAGECREW_REDIS_URL"


def test_the_table_of_what_is_kept_has_every_key() -> None:
    """`make docs` writes it."""
    text = RETENTION.read_text(encoding="utf-8")
    assert text == with_keys(text)
    assert text.count("| `spend:<day>` |") == 1
