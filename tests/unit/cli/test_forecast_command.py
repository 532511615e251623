"""`stagecrew forecast`: what it says, as people and as programs read it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import Result

from tests.unit.cli.conftest import FakeLedger, prospect, snapshot
from worker.core.forecast import Waiting
from worker.ledger.snapshot import CappedView

Command = Callable[..., Result]


@pytest.fixture
def waiting(ledger: FakeLedger) -> None:
    ledger.expected = prospect(
        Waiting(partner="acme", priority=0, photos=3_000), Waiting(partner="globex", priority=0, photos=600)
    )


@pytest.mark.usefixtures("waiting")
def test_it_says_when_all_will_be_done_and_what_bounds_it(stagecrew: Command) -> None:
    printed = stagecrew("forecast").stdout
    assert "3,600 photos an hour; what bounds it: the jobs in flight" in printed
    assert "3,600 photos waiting: done in 1:00:50" in printed
    assert "globex" in printed
    assert "20:50" in printed, "two turns for each one of globex's 600"


@pytest.mark.usefixtures("waiting")
def test_it_answers_what_if(stagecrew: Command) -> None:
    printed = stagecrew("forecast", "--in-flight", "100", "--photos", "50000").stdout
    assert "as if" in printed
    assert "7,200 photos an hour; what bounds it: the jobs in flight" in printed
    assert "50,000 photos more behind them: done in 7:27:30" in printed


@pytest.mark.usefixtures("waiting")
def test_a_higher_cap_helps_no_further_than_the_creates_allow(stagecrew: Command) -> None:
    found = json.loads(stagecrew("forecast", "--in-flight", "1000", "--json").stdout)
    assert found["bound"] in {"creates", "sources"}
    assert found["photos_an_hour"] == pytest.approx(7_200)
    assert set(found["partners"]) == {"acme", "globex"}


def test_nothing_waiting_is_done_at_once(stagecrew: Command) -> None:
    assert "0 photos waiting: done in 0:00" in stagecrew("forecast").stdout


def capped(partner: str | None) -> CappedView:
    return CappedView(partner=partner, cap="day", number=5, since_ms=0, until_ms=0, waiting=600)


@pytest.mark.usefixtures("waiting")
def test_status_promises_no_time_to_whoever_has_no_turns(stagecrew: Command, ledger: FakeLedger) -> None:
    ledger.picture = snapshot(capped=(capped("globex"),))
    lines = [line.split() for line in stagecrew("status").stdout.splitlines()]
    assert ["globex", "600", "0%", "paused", "or", "capped"] in lines
    assert ["acme", "3,000", "100%", "50:50"] in lines, "as if the other did not wait"
    for nobody in (snapshot(capped=(capped(None),)), snapshot(paused_reason="401")):
        ledger.picture = nobody
        assert stagecrew("status").stdout.count("paused or capped") == 2


@pytest.mark.usefixtures("waiting")
def test_photos_without_turns_are_told_apart_by_programs_too(stagecrew: Command, ledger: FakeLedger) -> None:
    ledger.picture = snapshot(capped=(capped("globex"),))
    told = json.loads(stagecrew("status", "--json").stdout)
    assert (set(told["outlooks"]), told["no_turns"]) == ({"acme"}, {"globex": 600})
    forecast = json.loads(stagecrew("forecast", "--json").stdout)
    assert (forecast["waiting"], forecast["no_turns"], set(forecast["partners"])) == (3_000, {"globex": 600}, {"acme"})
    printed = stagecrew("forecast").stdout
    assert "3,000 photos waiting: done in 50:50" in printed
    assert "600 photos of partners without turns" in printed


@pytest.mark.usefixtures("waiting")
def test_status_shows_each_partners_share_and_time(stagecrew: Command) -> None:
    assert "share now" in stagecrew("status").stdout
    assert json.loads(stagecrew("status", "--json").stdout)["outlooks"]["globex"]["done_ms"] == 1_250_000
