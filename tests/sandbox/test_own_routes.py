"""The sandbox's own routes: what may be changed while it runs, and what its books tell."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.sandbox.test_contract import BODY, Caller
from worker.sandbox.config import SandboxConfig
from worker.sandbox.running import running_sandbox


@pytest.fixture
def caller() -> Iterator[Caller]:
    """A client of a fast sandbox whose jobs never end by themselves."""
    config = SandboxConfig(speed=100, picture="tiny", limits_off=True, job_min_s=1e6, job_max_s=1e6)
    with running_sandbox(config) as sandbox, httpx.Client(base_url=sandbox.base_url) as http:
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
