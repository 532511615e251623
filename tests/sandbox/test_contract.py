"""The sandbox keeps the contract: idempotency, validation, limits, lifecycles, signed URLs, faults, memory."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from worker.sandbox.config import READINGS, SandboxConfig
from worker.sandbox.running import RunningSandbox, running_sandbox

V1 = "/api/v1"
BODY = {"workflow": "staging", "capture_type": "photo", "mode": "refurnish", "style_preset": "modern"}


def picture(colour: int = 1, size: tuple[int, int] = (96, 64)) -> bytes:
    """Return a real JPEG."""
    out = io.BytesIO()
    Image.new("RGB", size, (colour, 120, 90)).save(out, "JPEG")
    return out.getvalue()


@dataclass
class Caller:
    """A client of the sandbox that is none of ours."""

    sandbox: RunningSandbox
    http: httpx.Client

    def post(self, path: str, body: dict[str, Any], key: str | None) -> httpx.Response:
        """Send a write with JSON."""
        return self.http.post(V1 + path, content=json.dumps(body), headers=self._key(key))

    def upload(self, content: bytes, key: str | None) -> httpx.Response:
        """Send a picture."""
        files = {"file": ("a.jpg", content, "image/jpeg")}
        request = self.http.build_request("POST", f"{V1}/source-assets", files=files, headers=self._key(key))
        # A fixed boundary, so that a repeated upload is the same bytes.
        boundary = request.headers["content-type"].partition("boundary=")[2]
        body = request.read().replace(boundary.encode(), b"fixed-boundary")
        headers = {**self._key(key), "Content-Type": "multipart/form-data; boundary=fixed-boundary"}
        return self.http.post(f"{V1}/source-assets", content=body, headers=headers)

    def get(self, path: str) -> dict[str, Any]:
        """Read something."""
        found: dict[str, Any] = self.http.get(V1 + path).json()
        return found

    def asset(self, colour: int = 1) -> str:
        """Take a picture in and wait until it is ready."""
        ingest = self.upload(picture(colour), f"source-{colour}").json()["ingest_id"]
        return str(self.until(f"/source-assets/{ingest}", "ready")["source_asset_id"])

    def job(self, asset: str, key: str, **more: Any) -> dict[str, Any]:
        """Start a job."""
        found: dict[str, Any] = self.post("/generations", {"source_asset_id": asset, **BODY, **more}, key).json()
        return found

    def until(self, path: str, status: str) -> dict[str, Any]:
        """Read until a status comes; the API's clock runs by itself, thousands of times as fast."""
        for _ in range(10_000):
            found = self.get(path)
            if found["status"] == status:
                return found
        raise AssertionError(f"{path} never was {status}: {found}")

    @staticmethod
    def _key(key: str | None) -> dict[str, str]:
        return {"Idempotency-Key": key} if key else {}


@pytest.fixture
def caller(request: pytest.FixtureRequest) -> Iterator[Caller]:
    """A sandbox with the test's settings (`@pytest.mark.parametrize("caller", [...], indirect=True)`)."""
    config = getattr(request, "param", SandboxConfig(speed=2000, limits_off=True, url_life_s=1e6))
    with running_sandbox(config) as sandbox, httpx.Client(base_url=sandbox.base_url) as http:
        http.headers["Authorization"] = f"Bearer {sandbox.api_key}"
        yield Caller(sandbox, http)


def test_a_photo_goes_from_upload_to_a_signed_picture(caller: Caller) -> None:
    job = caller.job(caller.asset(), "generation-1", reference="r-1", metadata={"listing_id": "l"})
    done = caller.until(f"/generations/{job['job_id']}", "succeeded")
    assert (done["reference"], done["metadata"]) == ("r-1", {"listing_id": "l"})
    url = done["outputs"][0]["url"]
    with Image.open(io.BytesIO(httpx.get(url).content)) as image:
        assert image.size == (96, 64)
    assert httpx.get(url.replace("signature=", "signature=0")).status_code == 403
    again = caller.get(f"/generations/{job['job_id']}")["outputs"][0]["url"]
    assert again != url, "every read gives a new URL"


def test_the_same_key_and_payload_bring_the_same_job_and_another_payload_a_conflict(caller: Caller) -> None:
    asset = caller.asset()
    first, again = caller.job(asset, "k"), caller.job(asset, "k")
    assert first["job_id"] == again["job_id"]
    other = caller.post("/generations", {"source_asset_id": asset, **BODY, "style_preset": "coastal"}, "k")
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_conflict")
    assert not other.json()["error"]["retryable"]
    upload = [caller.upload(picture(7), "s").json()["ingest_id"] for _ in range(2)]
    assert upload[0] == upload[1]
    assert caller.upload(picture(200), "s").status_code == 409
    assert caller.sandbox.books()["jobs_created"] == 1


@pytest.mark.parametrize("caller", [SandboxConfig(speed=2_000_000, limits_off=True)], indirect=True)
def test_a_key_is_forgotten_after_a_day_and_makes_another_job(caller: Caller) -> None:
    asset = caller.asset()
    first = caller.job(asset, "k")["job_id"]
    begin = caller.sandbox.books()["now_ms"]
    while caller.sandbox.books()["now_ms"] - begin < 25 * 3_600_000:
        pass
    assert caller.job(asset, "k")["job_id"] != first


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"mode": None}, "mode"),
        ({"mode": "burn"}, "mode"),
        ({"capture_type": "panorama360"}, "mode"),
        ({"capture_type": "panorama360", "mode": None, "style_preset": None}, "style_preset"),
        ({"room_types": ["Kitchen", "Toilet"]}, "room_types"),
        ({"room_types": ["Moon Base"]}, "room_types"),
        ({"workflow": "renovate"}, "workflow"),
        ({"capture_type": "video"}, "capture_type"),
        ({"style": "modern"}, "style"),
        ({"source_asset_id": "src_none"}, "source_asset_id"),
    ],
)
def test_settings_that_do_not_go_together_are_refused_with_the_field(
    caller: Caller, change: dict[str, Any], field: str
) -> None:
    body = {"source_asset_id": caller.asset(), **BODY, **change}
    answer = caller.post("/generations", {k: v for k, v in body.items() if v is not None}, "k")
    assert answer.status_code == 422
    assert field in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("key", "authorization", "status"), [(None, None, 400), ("k", "Bearer other", 401), ("k", "", 401)]
)
def test_a_call_without_key_or_authorization_is_refused(
    caller: Caller, key: str | None, authorization: str | None, status: int
) -> None:
    if authorization is not None:
        caller.http.headers["Authorization"] = authorization
    assert caller.upload(picture(), key).status_code == status


def test_a_file_that_is_no_picture_fails_in_its_ingest(caller: Caller) -> None:
    ingest = caller.upload(b"not a picture", "k").json()["ingest_id"]
    failed = caller.until(f"/source-assets/{ingest}", "failed")
    assert failed["source_asset_id"] is None
    assert "not an image" in failed["failure"]["message"]


@pytest.mark.parametrize("caller", [SandboxConfig(speed=0.01, limits={"usage": 3, "billing": 2})], indirect=True)
def test_a_route_past_its_limit_answers_429_with_the_wait(caller: Caller) -> None:
    answers = [caller.http.get(f"{V1}/usage/summary").status_code for _ in range(4)]
    assert answers == [200, 200, 200, 429]
    refused = caller.http.get(f"{V1}/usage/summary").json()["error"]
    assert (refused["code"], refused["retryable"]) == ("rate_limited", True)
    assert 0 < refused["retry_after"] <= 60
    assert caller.sandbox.books()["refused"] == {"usage": 2}


@pytest.mark.parametrize("caller", [SandboxConfig(speed=1, in_flight=2, ingest_min_s=0, ingest_max_s=0)], indirect=True)
def test_more_jobs_than_may_be_in_flight_are_refused(caller: Caller) -> None:
    asset = caller.asset()
    answers = [caller.post("/generations", {"source_asset_id": asset, **BODY}, str(k)).status_code for k in range(3)]
    assert answers == [200, 200, 429]
    assert caller.sandbox.books()["peak_in_flight"] == 2


def test_only_a_job_that_succeeded_is_regenerated_and_gives_another_job(caller: Caller) -> None:
    job = caller.job(caller.asset(), "k")
    caller.until(f"/generations/{job['job_id']}", "succeeded")
    path = f"/generations/{job['job_id']}/regenerate"
    again = caller.post(path, {}, "r").json()
    assert again["job_id"] != job["job_id"]
    assert again["source_asset_id"] == job["source_asset_id"]
    assert caller.post(path, {"mode": "clean"}, "r2").status_code == 422
    assert caller.post("/generations/gen_none/regenerate", {}, "r3").status_code == 404


def test_the_ledger_has_a_line_for_each_job_by_pages(caller: Caller) -> None:
    asset = caller.asset()
    jobs = {caller.job(asset, f"k{number}")["job_id"] for number in range(5)}
    for job in jobs:
        caller.until(f"/generations/{job}", "succeeded")
    seen, cursor = [], ""
    while True:
        page = caller.get(f"/billing/events?limit=2{cursor}")
        seen += page["events"]
        if "next_cursor" not in page:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert {line["job_id"] for line in seen} == jobs
    assert {line["amount_usd"] for line in seen} == {"0.50"}
    assert caller.http.get(f"{V1}/billing/events?cursor=bad").status_code == 404
    assert caller.get("/usage/summary")["jobs"]["succeeded"] == 5


@pytest.mark.parametrize("caller", [SandboxConfig(speed=2000, limits_off=True, url_life_s=0)], indirect=True)
def test_a_url_expires(caller: Caller) -> None:
    job = caller.job(caller.asset(), "k")
    url = caller.until(f"/generations/{job['job_id']}", "succeeded")["outputs"][0]["url"]
    assert httpx.get(url).status_code == 403


def test_faults_can_be_switched_on_while_it_runs(caller: Caller) -> None:
    asset = caller.asset()
    caller.sandbox.set_faults(lost_responses=1.0)
    with pytest.raises(httpx.RemoteProtocolError):
        caller.job(asset, "k")
    caller.sandbox.set_faults(lost_responses=0.0)
    job = caller.job(asset, "k")
    assert caller.sandbox.books()["jobs_created"] == 1, "the lost answer's job is the one that comes back"
    done = caller.until(f"/generations/{job['job_id']}", "succeeded")
    caller.sandbox.set_faults(truncated_downloads=1.0)
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(done["outputs"][0]["url"])
    caller.sandbox.set_faults(api_down=True, not_envelope=True)
    down = caller.http.get(f"{V1}/usage/summary")
    assert (down.status_code, down.text[:6]) == (503, "<html>")
    unknown = httpx.post(f"{caller.sandbox.base_url}/sandbox/faults", json={"fire": 1})
    assert unknown.status_code == 422


@pytest.mark.parametrize("name", sorted(READINGS))
def test_every_reading_leads_to_a_picture(name: str) -> None:
    config = SandboxConfig(speed=2000, limits_off=True, url_life_s=1e6, readings=READINGS[name])
    with running_sandbox(config) as sandbox, httpx.Client(base_url=sandbox.base_url) as http:
        http.headers["Authorization"] = f"Bearer {sandbox.api_key}"
        caller = Caller(sandbox, http)
        ready = config.readings.ingest_ready_state
        ingest = caller.upload(picture(), "s").json()["ingest_id"]
        asset = caller.until(f"/source-assets/{ingest}", ready)["source_asset_id"]
        job = caller.job(asset, "k")
        outputs = caller.until(f"/generations/{job['job_id']}", "succeeded")["outputs"]
        first = next(iter(outputs.values())) if isinstance(outputs, dict) else outputs[0]
        url = first if isinstance(first, str) else first[config.readings.url_field]
        assert httpx.get(url).content.startswith(b"\xff\xd8")


def test_a_sandbox_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    config = SandboxConfig(speed=2000, limits_off=True, state=str(tmp_path / "state.sqlite"))
    with running_sandbox(config) as sandbox, httpx.Client(base_url=sandbox.base_url) as http:
        http.headers["Authorization"] = f"Bearer {sandbox.api_key}"
        caller = Caller(sandbox, http)
        asset = caller.asset()
        job, now = caller.job(asset, "k"), sandbox.books()["now_ms"]
        sandbox.process.kill()
        sandbox.process.wait()
    with running_sandbox(config) as sandbox, httpx.Client(base_url=sandbox.base_url) as http:
        http.headers["Authorization"] = f"Bearer {sandbox.api_key}"
        caller = Caller(sandbox, http)
        assert caller.job(asset, "k")["job_id"] == job["job_id"]
        assert sandbox.books()["now_ms"] > now
        assert caller.until(f"/generations/{job['job_id']}", "succeeded")["outputs"]
