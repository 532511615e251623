"""Commands over several accounts: all of them unless one is named."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from config.settings import Settings, load_settings
from tests.unit.cli.conftest import FakeLedger, budget, snapshot, view, working_worker
from worker.cli import app
from worker.cli.accounts import together
from worker.cli.doors import Doors
from worker.cli.finding import Check, Finding, ok
from worker.cli.tracker import PhotoName
from worker.core.photo import Stage

ACCOUNTS = """
[accounts.north]
api_key = "kat_live_north.x"
partners = ["acme"]

[accounts.south]
api_key = "kat_live_south.x"
"""
RECORD = '{"listing_id": "L1", "photos": [{"photo_id": "a", "source": "https://photos.test/a.jpg", "mode": "clean"}]'

Command = Callable[..., Result]


@pytest.fixture
def ledgers() -> dict[str, FakeLedger]:
    return {
        name: FakeLedger(picture=snapshot(account=name, workers=(working_worker(),), leader="one@host"))
        for name in ("north", "south")
    }


@pytest.fixture
def command(ledgers: dict[str, FakeLedger], tmp_path: Path) -> Command:
    """Run the command line on the accounts' ledgers in memory."""
    path = tmp_path / "accounts.toml"
    path.write_text(ACCOUNTS)
    path.chmod(0o600)
    environ = {
        "STAGECREW_ACCOUNTS_FILE": str(path),
        "STAGECREW_REDIS_URL": "redis://127.0.0.1:1/0",
        "STAGECREW_BROKER_URL": "memory://",
        "STAGECREW_STORAGE_URL": (tmp_path / "output").as_uri(),
        "KATALO_BASE_URL": "http://127.0.0.1:1",
    }

    @contextlib.asynccontextmanager
    async def opened(settings: Settings) -> AsyncIterator[FakeLedger]:
        yield ledgers[settings.origin.account]

    async def redis_is_well(_settings: Settings) -> list[Finding]:
        return [ok(Check.REDIS, "answers")]

    async def nothing_is_late(_settings: Settings) -> list[Finding]:
        return [ok(Check.STUCK, "no photo is late")]

    doors = Doors(
        load_settings=lambda: load_settings(environ),
        open_ledger=opened,
        check_redis=redis_is_well,
        check_stuck=nothing_is_late,
    )

    def run(*arguments: str, stdin: str | None = None) -> Result:
        result = CliRunner().invoke(app, list(arguments), obj=doors, input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.mark.parametrize(
    "arguments",
    [("status",), ("watch", "--times", "1"), ("failed",), ("replay", "--all"), ("enqueue", "-"), ("status", "L1")],
)
def test_an_unknown_account_is_a_line_with_those_that_there_are(command: Command, arguments: tuple[str, ...]) -> None:
    result = command(*arguments, "--account", "nort", stdin="")
    assert result.exit_code == 2
    assert "there is no account 'nort'; there are north, south" in result.stderr


@pytest.mark.parametrize(
    ("more", "arguments", "account"),
    [
        (', "partner": "acme"}', (), "north"),
        (', "account": "south"}', (), "south"),
        (', "account": "south"}', ("--account", "north"), "north"),
    ],
)
def test_a_record_goes_to_its_account(
    command: Command, ledgers: dict[str, FakeLedger], more: str, arguments: tuple[str, ...], account: str
) -> None:
    result = command("enqueue", "-", *arguments, stdin=RECORD + more)
    assert result.exit_code == 0
    assert {name: len(ledger.views) for name, ledger in ledgers.items() if ledger.views} == {account: 1}


def test_a_record_of_no_account_is_a_bad_record(command: Command, ledgers: dict[str, FakeLedger]) -> None:
    result = command("enqueue", "-", stdin=RECORD + "}")
    assert result.exit_code == 1
    assert "account: none is named, and partner 'default' belongs to none; name one of north, south" in result.stderr
    assert not any(ledger.views for ledger in ledgers.values())


def test_status_shows_a_line_for_each_account_and_why_one_is_paused(
    command: Command, ledgers: dict[str, FakeLedger]
) -> None:
    ledgers["north"].picture = snapshot(account="north", stages={Stage.DONE: 7}, paused_reason="the key was refused")
    shown = command("status").stdout
    rows = [line.split() for line in shown.splitlines()]
    assert ["north", "0", "0", "7", "0", "0", "0/50", "0", "PAUSED"] in rows
    assert "north: PAUSED: the key was refused" in shown
    assert "north: no workers: start one" in shown
    assert "south: no workers" not in shown


def test_status_of_one_account_is_the_whole_of_it(command: Command) -> None:
    shown = command("status", "--account", "south").stdout
    assert "account south: slots 0/50" in shown
    assert "one@host" in shown


def test_status_as_json_has_a_snapshot_for_each_account(command: Command) -> None:
    assert [one["account"] for one in json.loads(command("status", "--json").stdout)["accounts"]] == ["north", "south"]
    assert json.loads(command("status", "--account", "south", "--json").stdout)["account"] == "south"


def test_a_listing_is_found_in_whichever_account_it_is(command: Command, ledgers: dict[str, FakeLedger]) -> None:
    ledgers["south"].views = [view("L1", "a", Stage.DONE, account="south")]
    result = command("status", "L1")
    assert result.exit_code == 0
    assert "south" in result.stdout
    assert command("status", "L1", "--account", "north").exit_code == 1


def test_watch_names_the_account_of_each_line(command: Command) -> None:
    lines = command("watch", "--times", "1").stdout.splitlines()
    assert [line.split()[1] for line in lines] == ["north:", "south:"]


def test_failed_photos_of_all_accounts_are_listed_newest_first(
    command: Command, ledgers: dict[str, FakeLedger]
) -> None:
    for name, since in (("north", 1_000), ("south", 2_000)):
        ledgers[name].views = [view("L1", "a", Stage.FAILED, account=name, stage_since_ms=since)]
    assert [one["account"] for one in json.loads(command("failed", "--json").stdout)] == ["south", "north"]
    assert [one["account"] for one in json.loads(command("failed", "--account", "north", "--json").stdout)] == ["north"]


def test_a_name_that_two_accounts_have_is_not_replayed_until_one_is_said(
    command: Command, ledgers: dict[str, FakeLedger]
) -> None:
    for name, ledger in ledgers.items():
        ledger.views = [view("L1", "a", Stage.FAILED, account=name)]
    result = command("replay", "L1")
    assert result.exit_code == 1
    assert "L1: accounts north, south have one; say which with --account" in result.stderr
    assert all(keys == [] for ledger in ledgers.values() for keys, _ in ledger.replayed)
    assert command("replay", "L1", "--account", "south").exit_code == 0
    assert [len(keys) for keys, _ in ledgers["south"].replayed][-1] == 1


def test_replay_all_sends_the_photos_of_every_account(command: Command, ledgers: dict[str, FakeLedger]) -> None:
    for name, ledger in ledgers.items():
        ledger.views = [view("L1", "a", Stage.FAILED, account=name)]
    assert "2 photos sent again" in command("replay", "--all").stdout


def test_together_adds_up_and_stands_still_only_when_no_busy_account_goes_on() -> None:
    going = snapshot(account="north", stages={Stage.GENERATING: 3}, slots_used=3, budgets=(budget(),))
    paused = snapshot(account="south", stages={Stage.ACCEPTED: 2}, budgets=(budget(),), paused_reason="why")
    idle = snapshot(account="south", stages={Stage.DONE: 2}, budgets=(budget(),), paused_reason="why")
    both = together([going, paused])
    assert (both.account, both.slots_used, both.slots_cap) == ("north, south", 3, 100)
    assert both.stages == {Stage.GENERATING: 3, Stage.ACCEPTED: 2}
    assert (both.budgets[0].used, both.budgets[0].count) == (14, 240)
    assert (both.paused_reason, both.partly_paused) == (None, "south: why")
    assert together([paused, idle]).paused_reason == "south: why; south: why"
    assert together([paused]) is paused


def test_doctor_asks_every_account(command: Command, ledgers: dict[str, FakeLedger]) -> None:
    ledgers["north"].picture = snapshot(account="north", paused_reason="the key was refused")
    findings = json.loads(command("doctor", "--json").stdout)["findings"]
    found = {(finding["account"], finding["check"]): finding for finding in findings}
    assert found["north", "account"]["text"] == "paused: the key was refused"
    assert found["south", "workers"]["mark"] == "ok"
    for check in ("storage", "katalo_api"):
        assert {("north", check), ("south", check)} <= found.keys()
        assert (None, check) not in found


def test_a_photo_is_named_with_its_account_where_that_is_not_the_default_one() -> None:
    assert str(PhotoName("L1", "a")) == "L1/a"
    assert str(PhotoName("L1", "a", "north")) == "north: L1/a"
