"""The sandbox's webhooks: signed over the raw bytes, tried again, with the faults that are switched on."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from tests.sandbox.test_contract import Caller
from worker.sandbox.config import Faults, SandboxConfig
from worker.sandbox.running import running_sandbox


class Receiver:
    """A real HTTP server that keeps what it gets; it refuses the first `refusals` deliveries with 503."""

    def __init__(self) -> None:
        self.got: list[tuple[bytes, str]] = []
        self.refusals = 0
        self.came = threading.Semaphore(0)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                refused = receiver.refusals > 0
                receiver.refusals -= refused
                if not refused:
                    receiver.got.append((body, self.headers["x-katalo-signature"]))
                self.send_response(503 if refused else 200)
                self.end_headers()
                receiver.came.release()

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/webhooks/katalo"

    def wait(self, count: int) -> None:
        """Wait for `count` deliveries, refused ones included."""
        for _ in range(count):
            assert self.came.acquire(timeout=60), "no webhook came"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that listens."""
    found = Receiver()
    thread = threading.Thread(target=found.server.serve_forever)
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


def deliver(receiver: Receiver, faults: Faults, count: int) -> SandboxConfig:
    """Let one job end and wait for its deliveries."""
    config = SandboxConfig(speed=2000, limits_off=True, faults=faults)
    with running_sandbox(config) as sandbox, httpx.Client(base_url=sandbox.base_url) as http:
        http.headers["Authorization"] = f"Bearer {sandbox.api_key}"
        caller = Caller(sandbox, http)
        caller.job(caller.asset(), "k", reference="r", metadata={"a": "b"}, webhook={"url": receiver.url})
        receiver.wait(count)
    return config


def test_a_jobs_end_is_delivered_signed_with_its_outputs(receiver: Receiver) -> None:
    config = deliver(receiver, Faults(), 1)
    [(body, signature)] = receiver.got
    assert signature == hmac.new(config.webhook_secret.encode(), body, hashlib.sha256).hexdigest()
    event = json.loads(body)
    assert (event["event_type"], event["reference"], event["metadata"]) == ("generation.completed", "r", {"a": "b"})
    assert event["outputs"][0]["url"].startswith("http://")


def test_a_delivery_that_is_refused_comes_again(receiver: Receiver) -> None:
    receiver.refusals = 1
    deliver(receiver, Faults(failed_jobs=1.0), 2)
    [(body, _)] = receiver.got
    assert json.loads(body)["event_type"] == "generation.failed"


def test_deliveries_can_be_doubled(receiver: Receiver) -> None:
    deliver(receiver, Faults(webhooks_doubled=1.0), 2)
    assert receiver.got[0] == receiver.got[1]


def test_forged_deliveries_are_further_ones_and_the_true_one_comes_too(receiver: Receiver) -> None:
    config = deliver(receiver, Faults(webhooks_forged=1.0), 2)
    signed = [
        signature == hmac.new(config.webhook_secret.encode(), body, hashlib.sha256).hexdigest()
        for body, signature in receiver.got
    ]
    assert signed == [False, True]
    assert json.loads(receiver.got[0][0])["event_type"] == "generation.failed"


def test_a_late_delivery_comes_after_one_of_a_later_job(receiver: Receiver) -> None:
    config = SandboxConfig(speed=20, limits_off=True, job_min_s=1, job_max_s=1)
    with running_sandbox(config) as sandbox, httpx.Client(base_url=sandbox.base_url) as http:
        http.headers["Authorization"] = f"Bearer {sandbox.api_key}"
        caller = Caller(sandbox, http)
        asset = caller.asset()
        sandbox.set_faults(webhooks_slow=1.0)
        first = caller.job(asset, "first", webhook={"url": receiver.url})["job_id"]
        caller.until(f"/generations/{first}", "succeeded")
        while not sandbox.books()["faults"].get("webhooks_slow"):
            assert receiver.got == []
        sandbox.set_faults(webhooks_slow=0.0)
        second = caller.job(asset, "second", webhook={"url": receiver.url})["job_id"]
        receiver.wait(2)
    assert [json.loads(body)["job_id"] for body, _ in receiver.got] == [second, first]


def test_a_delivery_can_come_before_the_creates_own_answer(receiver: Receiver) -> None:
    config = SandboxConfig(speed=2000, limits_off=True, faults=Faults(webhooks_early=1.0))
    with running_sandbox(config) as sandbox, httpx.Client(base_url=sandbox.base_url) as http:
        http.headers["Authorization"] = f"Bearer {sandbox.api_key}"
        caller = Caller(sandbox, http)
        job = caller.job(caller.asset(), "k", webhook={"url": receiver.url})["job_id"]
        assert [json.loads(body)["job_id"] for body, _ in receiver.got] == [job], "it was there already"
        assert sandbox.books()["in_flight"] == 0
