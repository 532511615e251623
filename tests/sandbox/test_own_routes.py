"""The sandbox's own routes: what may be changed while it runs, and what its books tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import httpx
import pytest

from tests.sandbox.test_contract import BODY, Caller
from worker.sandbox.config import Faults, SandboxConfig
from worker.sandbox.running import RunningSandbox, running_sandbox


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    """A fast sandbox whose jobs never end by themselves."""
    with running_sandbox(
        SandboxConfig(speed=100, picture="tiny", limits_off=True, job_min_s=1e6, job_max_s=1e6)
    ) as one:
        yield one


@pytest.fixture
def caller(sandbox: RunningSandbox) -> Iterator[Caller]:
    """A client of it; what other tests left is forgotten."""
    with httpx.Client(base_url=sandbox.base_url) as http:
        assert http.post("/sandbox/reset").status_code == 200
        http.headers["Authorization"] = f"Bearer {sandbox.api_key}"
        yield Caller(sandbox, http)


def test_durations_can_be_changed_while_it_runs(caller: Caller) -> None:
    asset = caller.asset()
    long = caller.post("/generations", {**BODY, "source_asset_id": asset}, "before").json()
    caller.sandbox.configure(job_min_s=0.001, job_max_s=0.001)
    short = caller.post("/generations", {**BODY, "source_asset_id": asset}, "after").json()
    assert caller.until(f"/generations/{short['job_id']}", "succeeded")
    assert caller.get(f"/generations/{long['job_id']}")["status"] == "processing"


@pytest.mark.parametrize("body", ['{"seed": 2}', '{"api_key": "x"}', "[1]", "no json"])
def test_nothing_else_can_be_changed(caller: Caller, body: str) -> None:
    answer = caller.http.post("/sandbox/config", content=body)
    assert answer.status_code == 422
    assert "job_min_s" in answer.json()["problem"]
    assert caller.http.get("/sandbox/config").json()["job_min_s"] == 1e6


def test_the_books_tell_when_an_end_was_first_told(caller: Caller) -> None:
    asset = caller.asset()
    [ingest] = caller.sandbox.books()["ingests"]
    assert ingest["asset_id"] == asset
    assert ingest["seen_ms"] >= ingest["ready_ms"]
    caller.sandbox.configure(job_min_s=50, job_max_s=50)
    job = caller.post("/generations", {**BODY, "source_asset_id": asset}, "one").json()
    [before] = caller.sandbox.books()["jobs"]
    assert before["seen_ms"] is None
    caller.until(f"/generations/{job['job_id']}", "succeeded")
    [after] = caller.sandbox.books()["jobs"]
    assert after["seen_ms"] >= after["ends_ms"]
    caller.get(f"/generations/{job['job_id']}")
    assert caller.sandbox.books()["jobs"] == [after]


@pytest.mark.parametrize(
    ("route", "body", "problem"),
    [
        ("faults", {"errors_500": 1.5}, "share from 0 to 1"),
        ("faults", {"errors_500": "often"}, "share from 0 to 1"),
        ("faults", {"api_down": 1}, "true or false"),
        ("faults", {"slow_ms": -1}, "whole number"),
        ("faults", {"fire": 1}, "faults are: errors_500"),
        ("config", {"job_min_s": "soon"}, "a number, 0 or more"),
        ("config", {"job_min_s": 60, "job_max_s": 30}, "job_min_s may not be more than job_max_s"),
        ("config", {"speed": 0}, "from 0.01 to 10000"),
        ("clock", {"advance_s": -5}, "a number, 0 or more"),
        ("clock", {}, "advance_s"),
        ("fates", {"pattern": "*", "fate": "fails"}, "a list of at most 100 rules"),
        ("fates", [{"pattern": "*", "fate": "burns"}], "one of succeeds, fails, refused, at_once, never_ends"),
        ("fates", [{"pattern": "", "fate": "fails"}], "1 to 200 characters"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused_and_changes_nothing(caller: Caller, route, body, problem) -> None:
    before = caller.http.get("/sandbox/overview").json()
    answer = caller.http.post(f"/sandbox/{route}", json=body)
    assert answer.status_code == 422
    assert problem in answer.json()["problem"]
    after = caller.http.get("/sandbox/overview").json()
    assert {name: after[name] for name in ("config", "faults", "fates")} == {
        name: before[name] for name in ("config", "faults", "fates")
    }


def test_the_first_rule_that_fits_a_name_decides_a_jobs_fate(caller: Caller) -> None:
    rules = [
        {"pattern": "*bath*", "fate": "refused"},
        {"pattern": "listing-7-*", "fate": "fails"},
        {"pattern": "listing-*", "fate": "at_once"},
    ]
    assert caller.http.post("/sandbox/fates", json=rules).json() == rules
    asset = caller.asset()
    body = {**BODY, "source_asset_id": asset}

    def create(reference: str, **metadata: str):
        return caller.post("/generations", {**body, "reference": reference, "metadata": metadata}, reference)

    assert create("listing-7-1", photo="guest bathroom").status_code == 422
    assert create("listing-8-1").json()["status"] == "succeeded"
    assert create("other").json()["status"] == "processing"
    caller.sandbox.configure(job_min_s=0, job_max_s=0)
    assert create("listing-7-2").json()["status"] == "failed"


def test_the_name_of_the_uploaded_file_decides_too(caller: Caller) -> None:
    caller.http.post("/sandbox/fates", json=[{"pattern": "a*.jpg", "fate": "at_once"}])
    caller.post("/generations", {**BODY, "source_asset_id": caller.asset()}, "one")
    [job] = caller.http.get("/sandbox/overview").json()["jobs"]
    assert (job["file_name"], job["state"]) == ("a.jpg", "succeeded")


def test_the_overview_counts_calls_and_money_and_finds_jobs(caller: Caller) -> None:
    asset = caller.asset()
    caller.http.post("/sandbox/fates", json=[{"pattern": "al*", "fate": "at_once"}])
    for reference in ("alpha", "beta"):
        caller.post("/generations", {**BODY, "source_asset_id": asset, "reference": reference}, reference)
    shown = caller.http.get("/sandbox/overview").json()
    assert (shown["jobs_by_state"]["succeeded"], shown["jobs_by_state"]["running"], shown["in_flight"]) == (1, 1, 1)
    assert shown["bill"] == {"lines": 1, "free": 0, "amount_usd": "0.50"}
    assert next(route for route in shown["routes"] if route["route"] == "generations")["accepted"] == 2
    found = caller.http.get("/sandbox/overview", params={"text": "BETA", "state": "running", "limit": 1}).json()
    assert [job["reference"] for job in found["jobs"]] == ["beta"]
    assert caller.http.get("/sandbox/overview", params={"limit": "all"}).status_code == 422


def test_a_changed_speed_does_not_move_the_clock(caller: Caller) -> None:
    before = caller.sandbox.books()["now_ms"]
    caller.sandbox.configure(speed=0.01)
    slow = caller.sandbox.books()["now_ms"]
    assert 0 <= slow - before < 3_600_000
    caller.sandbox.advance(3600)
    assert 3_600_000 <= caller.sandbox.books()["now_ms"] - slow < 3_700_000


def test_a_reset_forgets_what_came_in_and_what_was_changed(caller: Caller) -> None:
    caller.sandbox.set_faults(failed_jobs=1.0)
    caller.sandbox.configure(in_flight=1)
    job = caller.post("/generations", {**BODY, "source_asset_id": caller.asset()}, "one").json()
    assert caller.http.post("/sandbox/reset", json={}).status_code == 200
    shown = caller.http.get("/sandbox/overview").json()
    assert (shown["sources"], shown["jobs"], shown["in_flight"], shown["config"]["in_flight"]) == (0, [], 0, 50)
    assert caller.http.get("/sandbox/faults").json()["failed_jobs"] == 0
    assert caller.http.get(f"/api/v1/generations/{job['job_id']}").status_code == 404


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://elsewhere.test"}, {"Origin": "null"}, {"Host": "elsewhere.test:80"}],
    ids=["another site", "a sandboxed frame", "a name that leads here"],
)
def test_another_sites_page_can_change_nothing(caller: Caller, headers: dict[str, str]) -> None:
    answer = caller.http.post("/sandbox/faults", json={"api_down": True}, headers=headers)
    assert answer.status_code == 403
    assert caller.http.get("/sandbox/faults").json()["api_down"] is False


def test_the_page_asks_nobody_else_and_runs_no_script_but_its_own(caller: Caller) -> None:
    page = caller.http.get("/")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "://" not in page.text.replace("http://127.0.0.1", "")
    assert "innerHTML" not in page.text


def test_each_fault_says_what_it_does() -> None:
    assert [item.name for item in fields(Faults) if not item.metadata["means"].endswith(".")] == []


def test_sources_are_fetched_only_where_that_is_asked_for(caller: Caller) -> None:
    picture = f"{caller.sandbox.base_url}/nothing-here.jpg"
    refused = caller.post("/source-assets", {"source_url": picture}, "off").json()
    assert caller.until(f"/source-assets/{refused['ingest_id']}", "failed")
    config = SandboxConfig(speed=100, picture="tiny", fetch_sources=True)
    with running_sandbox(config) as fetching, httpx.Client(base_url=fetching.base_url) as http:
        http.headers["Authorization"] = f"Bearer {fetching.api_key}"
        other = Caller(fetching, http)
        caller.http.post("/sandbox/fates", json=[{"pattern": "*", "fate": "at_once"}])
        job = caller.post("/generations", {**BODY, "source_asset_id": caller.asset()}, "one").json()
        url = job["outputs"][0]["url"]
        taken = other.post("/source-assets", {"source_url": url}, "one").json()
        assert other.until(f"/source-assets/{taken['ingest_id']}", "ready")
        missing = other.post("/source-assets", {"source_url": picture}, "two").json()
        failed = other.until(f"/source-assets/{missing['ingest_id']}", "failed")
        assert "404" in failed["failure"]["message"]
