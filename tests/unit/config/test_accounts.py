"""Accounts: what a file says, what holds where it says nothing, and what is said of a wrong one."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config.accounts import UnknownAccount, accounts_of, settings_for
from config.accounts_file import _Raw
from config.limits import Limit
from config.rotation import LiveAccounts
from config.settings import Settings, SettingsError, load_settings

Load = Callable[..., Settings]
NORTH = '[accounts.north]\napi_key = "kat_live_north.hush"\n'


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load settings with an accounts file of this text."""

    def loaded(text: str, name: str = "accounts.toml", **environ: str) -> Settings:
        path = tmp_path / name
        path.write_text(text)
        path.chmod(0o600)
        return load_settings({"STAGECREW_ACCOUNTS_FILE": str(path), **environ})

    return loaded


def problems_of(load: Load, text: str, **environ: str) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        load(text, **environ)
    lines = str(raised.value).splitlines()
    assert all(line.startswith("STAGECREW_ACCOUNTS_FILE: ") and "accounts.toml: " in line for line in lines)
    assert "hush" not in str(raised.value)
    return [line.partition("accounts.toml: ")[2] for line in lines]


def test_without_a_file_there_is_exactly_the_default_account_of_the_variables() -> None:
    settings = load_settings({"KATALO_API_KEY": "k", "KATALO_WEBHOOK_SECRET": "s", "STAGECREW_PARTNER_WEIGHTS": "a=3"})
    [account] = accounts_of(settings).values()
    assert (account.name, account.partners, dict(account.partner_weights)) == ("default", (), {"a": 3})
    assert account.api_key is not None
    assert [secret.get_secret_value() for secret in (account.api_key, *account.webhook_secrets)] == ["k", "s"]
    assert account.storage_url == settings.storage_url


def test_an_account_has_its_own_values_and_else_those_of_the_settings(load: Load) -> None:
    text = """
        [accounts.north]
        api_key = "kat_live_north.hush"
        webhook_secrets = ["new", "old"]
        base_url = "https://north.example.com/"
        in_flight = 20
        limits = { generations = "60/60s" }
        partners = { acme = 3, globex = 1 }
    """
    settings = load(
        text,
        KATALO_BASE_URL="https://api.example.com",
        STAGECREW_LIMITS__USAGE="7/60s",
        STAGECREW_LIMITS__GENERATIONS="90/60s",
        STAGECREW_STORAGE_URL="s3://bucket/staged/",
        STAGECREW_PARTNER_WEIGHTS="acme=2,initech=5",
    )
    north = accounts_of(settings)["north"]
    assert north.base_url == "https://north.example.com"
    assert (north.limits.generations, north.limits.usage) == (
        Limit(count=60, window_s=60),
        Limit(count=7, window_s=60),
    )
    assert north.limits.in_flight == 20
    assert north.limits.model_fields_set == {"generations", "usage", "in_flight"}, "what is set wins over the API"
    assert [secret.get_secret_value() for secret in north.webhook_secrets] == ["new", "old"]
    assert north.partners == ("acme", "globex")
    assert north.partner_weights == {"acme": 3, "globex": 1, "initech": 5}
    assert north.storage_url == "s3://bucket/staged/@north", "no listing's folder begins with an @"


def test_settings_of_an_account_are_the_fleets_with_its_own_in_their_place(load: Load) -> None:
    settings = load(NORTH, KATALO_API_KEY="kat_live_main.hush", STAGECREW_HANDS="7")
    north = settings_for(settings, "north")
    assert north.katalo_api_key is not None
    assert north.katalo_api_key.get_secret_value() == "kat_live_north.hush"
    assert (north.hands, north.origin.account) == (7, "north")
    assert settings_for(north, "default").katalo_api_key == settings.katalo_api_key
    assert settings_for(settings, "default").storage_url == settings.storage_url
    assert "hush" not in repr(accounts_of(settings)) + repr(settings.origin) + repr(north)


def test_an_account_that_says_no_secret_has_none_of_the_default_accounts(load: Load) -> None:
    settings = load(NORTH, KATALO_API_KEY="kat_live_main.hush", KATALO_WEBHOOK_SECRET="main")
    assert accounts_of(settings)["north"].webhook_secrets == ()
    assert len(accounts_of(settings)["default"].webhook_secrets) == 1


@pytest.mark.parametrize(
    ("text", "environ", "names"),
    [
        (NORTH, {}, ["north"]),
        (NORTH, {"KATALO_API_KEY": "k"}, ["default", "north"]),
        (NORTH + '[accounts.default]\napi_key = "k"\n', {}, ["default", "north"]),
        (NORTH + '[accounts.default]\npartners = ["acme"]\n', {"KATALO_API_KEY": "k"}, ["default", "north"]),
    ],
)
def test_the_default_account_is_there_when_it_has_a_key(
    load: Load, text: str, environ: dict[str, str], names: list[str]
) -> None:
    assert list(accounts_of(load(text, **environ))) == names


def test_secrets_may_stand_in_variables_and_files(load: Load, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("kat_live_north.file\n")
    (tmp_path / "hooks").write_text("one\ntwo\n")
    text = """
        [accounts.north]
        api_key_file = "key"
        webhook_secrets_file = "hooks"
        [accounts.south]
        api_key_env = "SOUTH_KEY"
        webhook_secrets_env = ["SOUTH_HOOK"]
    """
    accounts = accounts_of(load(text, SOUTH_KEY="kat_live_south.env", SOUTH_HOOK="three"))
    found = {
        name: [account.api_key.get_secret_value()] + [secret.get_secret_value() for secret in account.webhook_secrets]
        for name, account in accounts.items()
        if account.api_key is not None
    }
    assert found == {"north": ["kat_live_north.file", "one", "two"], "south": ["kat_live_south.env", "three"]}


def test_json_says_the_same(load: Load) -> None:
    text = json.dumps({"accounts": {"north": {"api_key": "kat_live_north.hush", "partners": ["acme"]}}})
    assert accounts_of(load(text, name="accounts.json"))["north"].partners == ("acme",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it names no account; write a table [accounts.NAME] for each"),
        ("accounts = 3", "it names no account; write a table"),
        ("[accounts", "it is not TOML: "),
        (NORTH + "[account.south]", "account: there is no such field; accounts stand in tables [accounts.NAME]"),
        ('[accounts.North]\napi_key = "k"', "account North: it can't be a name; use lower-case letters"),
        ("[accounts]\nnorth = 3", "account north: it is no table; write its fields below [accounts.NAME]"),
        ("[accounts.north]", "account north: api_key: it is missing; give api_key, api_key_env or api_key_file"),
        ('[accounts.north]\napi_key = " "', "account north: api_key: it is empty; copy it"),
        ('[accounts.north]\napi_key = "hush hush"', "account north: api_key: it has a blank"),
        ('[accounts.north]\napi_key_env = "NOWHERE"', "account north: api_key_env: the variable NOWHERE is not set"),
        (
            '[accounts.north]\napi_key_file = "nowhere"',
            "nowhere can't be read (No such file or directory); give a file",
        ),
        (NORTH + 'api_key_env = "X"', "account north: api_key_env: the account has api_key too; keep one of them"),
        (NORTH + 'partner = ["acme"]', "account north: partner: there is no such field; did you mean partners?"),
        (NORTH + 'partners = ["acme", 3]', "account north: partners: it is no list of names; write"),
        (NORTH + "partners = { acme = 0 }", "account north: partners.acme: input should be greater than or equal to 1"),
        (NORTH + 'limits = { usage = "fast" }', "account north: limits.usage: 'fast' is no limit; write calls"),
        (
            NORTH + 'limits = { usages = "1/1s" }',
            "account north: limits.usages: there is no such field; did you mean usage?",
        ),
        (NORTH + "in_flight = 0", "account north: limits.in_flight: input should be greater than or equal to 1"),
        (NORTH + "in_flight = 3\nlimits = { in_flight = 3 }", "account north: in_flight: it is there twice"),
        (NORTH + 'base_url = "api"', "account north: base_url: it must be an http(s) address"),
        (NORTH + 'storage_url = "ftp://x"', "account north: storage_url: it must begin with s3://"),
        (NORTH + 'webhook_secrets = "hush\\thush"', "account north: webhook_secrets: one has a blank"),
        (
            NORTH + '[accounts.south]\napi_key = "kat_live_north.hush"',
            "account south: api_key: it is the key of account north too, and two accounts of one",
        ),
        (
            NORTH + 'partners = ["acme"]\n[accounts.south]\napi_key = "k"\npartners = ["acme"]',
            "account south: partners: 'acme' belongs to account north too; keep one of them",
        ),
        (
            NORTH + 'storage_url = "s3://b/x"\n[accounts.south]\napi_key = "k"\nstorage_url = "s3://b/x/"',
            "account south: storage_url: account north stores its outputs there too; leave it out",
        ),
    ],
)
def test_a_problem_names_the_account_the_field_and_the_remedy(load: Load, text: str, said: str) -> None:
    [line] = problems_of(load, text)
    assert said in line
    assert any(remedy in line for remedy in (";", "did you mean", "it must be"))


def test_a_key_for_the_default_account_in_both_places_is_refused(load: Load) -> None:
    [line] = problems_of(load, '[accounts.default]\napi_key = "k"', KATALO_API_KEY="other")
    assert line == "account default: api_key: KATALO_API_KEY is set too, and is this account's key; keep one of them"


def test_the_default_accounts_key_is_nobody_elses(load: Load) -> None:
    [line] = problems_of(load, NORTH, KATALO_API_KEY="kat_live_north.hush")
    assert "the key of account default too" in line


def test_every_problem_of_every_account_is_told_at_once(load: Load) -> None:
    text = '[accounts.north]\nbase_url = "api"\n[accounts.south]\nlimit = 3\n'
    assert [line.split(": ")[:2] for line in problems_of(load, text)] == [
        ["account north", "api_key"],
        ["account north", "base_url"],
        ["account south", "limit"],
    ]


def test_an_unknown_account_is_told_with_those_that_there_are(load: Load) -> None:
    with pytest.raises(UnknownAccount, match="there is no account 'nort'; there are default, north"):
        settings_for(load(NORTH, KATALO_API_KEY="k"), "nort")


@pytest.mark.parametrize(
    ("text", "mode", "doubts"),
    [
        (NORTH, 0o644, 1),
        (NORTH, 0o640, 0),
        ('[accounts.north]\napi_key_env = "NORTH"\n', 0o644, 0),
    ],
)
def test_a_file_with_secrets_that_everybody_can_read_is_doubted(
    tmp_path: Path, text: str, mode: int, doubts: int
) -> None:
    path = tmp_path / "accounts.toml"
    path.write_text(text)
    path.chmod(mode)
    settings = load_settings({"STAGECREW_ACCOUNTS_FILE": str(path), "NORTH": "kat_live_n.x"})
    assert len(settings.origin.doubts) == doubts
    assert all("chmod 600" in doubt for doubt in settings.origin.doubts)


def key_of(live: LiveAccounts, name: str, **more: Any) -> str:
    key = live.accounts(**more)[name].api_key
    assert key is not None
    return key.get_secret_value()


def test_a_changed_file_is_read_again(load: Load, tmp_path: Path) -> None:
    live = LiveAccounts(load(NORTH))
    assert key_of(live, "north") == "kat_live_north.hush"
    (tmp_path / "accounts.toml").write_text(NORTH.replace("hush", "fresh"))
    assert key_of(live, "north") == "kat_live_north.fresh"


def test_a_changed_key_file_is_seen_too(load: Load, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("old")
    live = LiveAccounts(load('[accounts.north]\napi_key_file = "key"'))
    (tmp_path / "key").write_text("newer")
    assert key_of(live, "north") == "newer"


def test_looking_closer_reads_a_file_that_seems_unchanged(load: Load, tmp_path: Path) -> None:
    live = LiveAccounts(load(NORTH))
    path = tmp_path / "accounts.toml"
    before = path.stat()
    path.write_text(NORTH.replace("hush", "hash"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert key_of(live, "north") == "kat_live_north.hush"
    assert key_of(live, "north", look_closer=True) == "kat_live_north.hash"


def test_a_file_that_is_wrong_for_a_while_changes_nothing_and_says_so(load: Load, tmp_path: Path) -> None:
    live = LiveAccounts(load(NORTH))
    path = tmp_path / "accounts.toml"
    path.write_text("[accounts.no")
    assert key_of(live, "north") == "kat_live_north.hush"
    assert "it is not TOML" in live.trouble
    path.write_text(NORTH.replace("hush", "mended"))
    assert key_of(live, "north") == "kat_live_north.mended"
    assert live.trouble == ""


def test_the_env_files_key_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KATALO_API_KEY", raising=False)
    (tmp_path / ".env").write_text("KATALO_API_KEY=old\n")
    live = LiveAccounts(load_settings())
    (tmp_path / ".env").write_text("KATALO_API_KEY=newer\n")
    assert key_of(live, "default") == "newer"


def test_the_documents_example_can_be_used(load: Load, tmp_path: Path) -> None:
    document = (Path(__file__).parents[3] / "docs" / "accounts.md").read_text("utf-8")
    [example] = re.findall(r"```toml\n(.*?)```", document, re.DOTALL)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "south").write_text("kat_live_south.x\n")
    accounts = accounts_of(load(example, NORTH_API_KEY="kat_live_north.x", NORTH_WEBHOOK_SECRET="hook"))
    assert [account.partners for account in accounts.values()] == [("acme", "globex"), ("initech", "umbrella")]
    assert set(re.findall(r"`([a-z_]+)`", document)) >= set(_Raw.model_fields), "every field is told"


def test_two_sandboxes_may_have_one_key(load: Load) -> None:
    text = "".join(
        f'[accounts.{name}]\napi_key = "kat_live_sandbox.x"\nbase_url = "http://127.0.0.1:{port}"\n'
        for name, port in (("north", 8901), ("south", 8902))
    )
    assert list(accounts_of(load(text))) == ["north", "south"]
