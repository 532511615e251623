"""The sandbox's money: one line a job that succeeded, in either order, at its time; and an account that is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.test_contract import Caller, caller
from worker.sandbox.config import Faults, Readings, SandboxConfig
from worker.sandbox.running import running_sandbox

__all__ = ["caller"]
#: A job and its ingest are over after this many seconds of the API's time.
LONG_S = 600
NEWEST_FIRST = Readings(billing_newest_first=True, money_as_number=True, billing_list="data")


def lines(caller: Caller, field: str = "events", limit: int = 2) -> list[dict[str, Any]]:
    """Walk the ledger."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = caller.get(f"/billing/events?limit={limit}{cursor}")
        found += page[field]
        if "next_cursor" not in page:
            return found
        cursor = f"&cursor={page['next_cursor']}"


def jobs(caller: Caller, count: int, first: int = 1) -> list[str]:
    """Have jobs done, one after the other."""
    made = []
    for number in range(first, first + count):
        job_id = caller.job(caller.asset(40 * number), f"job-{number}")["job_id"]
        caller.sandbox.advance(LONG_S)
        made.append(job_id)
    return made


@pytest.mark.parametrize("caller", [SandboxConfig(speed=1000)], indirect=True)
def test_each_job_that_succeeded_has_one_line_oldest_first(caller: Caller) -> None:
    made = jobs(caller, 5)
    found = lines(caller)
    assert [line["job_id"] for line in found] == made
    assert len({line["event_id"] for line in found}) == 5
    assert {line["amount_usd"] for line in found} == {"0.50"}
    assert {line["usage_type"] for line in found} == {"generation"}


@pytest.mark.parametrize("caller", [SandboxConfig(speed=1000, readings=NEWEST_FIRST)], indirect=True)
def test_in_another_reading_the_newest_line_is_first_and_a_walk_meets_no_line_twice(caller: Caller) -> None:
    made = jobs(caller, 5)
    first = caller.get("/billing/events?limit=2")
    jobs(caller, 1, first=6)
    rest = caller.get(f"/billing/events?limit=100&cursor={first['next_cursor']}")
    found = first["data"] + rest["data"]
    assert [line["job_id"] for line in found] == made[::-1]
    assert {line["amount_usd"] for line in found} == {0.5}
    for wrong in ("c99", "x", "c-1"):
        assert caller.http.get(f"/api/v1/billing/events?cursor={wrong}").status_code == 404


@pytest.mark.parametrize("caller", [SandboxConfig(speed=1000, billing_delay_s=7 * 86_400)], indirect=True)
def test_a_line_comes_when_it_is_due(caller: Caller) -> None:
    jobs(caller, 1)
    assert lines(caller) == []
    caller.sandbox.advance(7 * 86_400)
    assert len(lines(caller)) == 1


@pytest.mark.parametrize("caller", [SandboxConfig(speed=1000, cache_hits=True, included=3)], indirect=True)
def test_a_cached_result_is_there_at_once_and_free_and_a_regeneration_has_its_own_price(caller: Caller) -> None:
    asset = caller.asset(1)
    first = caller.job(asset, "first")["job_id"]
    caller.sandbox.advance(LONG_S)
    assert caller.job(asset, "second")["status"] == "succeeded"
    caller.post(f"/generations/{first}/regenerate", {}, "again")
    caller.sandbox.advance(LONG_S)
    assert sorted((line["usage_type"], line["billable"], line["amount_usd"]) for line in lines(caller)) == [
        ("generation", False, "0"),
        ("generation", True, "0.50"),
        ("regenerate", True, "0.40"),
    ]
    usage = caller.get("/usage/summary")
    assert usage["usage"] == {"included": 3, "consumed": 2, "overage": 0, "remaining": 1}
    assert (usage["jobs"]["cache_hit_count"], usage["jobs"]["regenerate_count"]) == (1, 1)


@pytest.mark.parametrize("caller", [SandboxConfig(speed=1000, faults=Faults(double_bills=1.0))], indirect=True)
def test_a_double_bill_is_another_line_of_the_same_job(caller: Caller) -> None:
    [job_id] = jobs(caller, 1)
    assert [line["job_id"] for line in lines(caller)] == [job_id, job_id]
    assert len({line["event_id"] for line in lines(caller)}) == 2


@pytest.mark.parametrize("caller", [SandboxConfig(speed=1000, included=1)], indirect=True)
def test_an_organisation_that_may_not_use_the_api_is_told_so(caller: Caller) -> None:
    asset = caller.asset(1)
    caller.sandbox.set_faults(entitlement_ended=True)
    assert caller.get("/usage/summary")["entitlement"] == {"enabled": False}
    assert caller.post("/generations", {"source_asset_id": asset}, "k").status_code == 403
    caller.sandbox.set_faults(entitlement_ended=False, allowance_stops=True)
    caller.job(asset, "first")
    body = {"source_asset_id": asset, "workflow": "staging", "capture_type": "photo", "mode": "clean"}
    assert caller.post("/generations", body, "second").status_code == 402
    caller.sandbox.set_faults(key_revoked=True)
    assert caller.http.get("/api/v1/usage/summary").status_code == 401


@pytest.fixture
def state(tmp_path: Path) -> Iterator[SandboxConfig]:
    return SandboxConfig(speed=1000, state=str(tmp_path / "sandbox.db"))


def test_lines_are_the_same_after_a_restart_and_the_clock_keeps_what_it_was_pushed(state: SandboxConfig) -> None:
    import httpx

    seen, times = [], []
    for life in range(2):
        with running_sandbox(state) as running:
            headers = {"Authorization": f"Bearer {running.api_key}"}
            with httpx.Client(base_url=running.base_url, headers=headers, timeout=30) as http:
                here = Caller(sandbox=running, http=http)
                if life == 0:
                    jobs(here, 2)
                seen.append(lines(here))
                times.append(running.books()["now_ms"])
    assert seen[0] == seen[1]
    assert times[1] >= times[0]
    assert len({line["config_fingerprint"] for line in seen[0]}) == 2, "two sources, two configurations"
