"""The doctor's probe of webhooks, through real HTTP: our own gateway, and whatever else may answer at its address."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.unit.gateway.conftest import OLD_SECRET, PATH, SECRET, Door, Open
from worker.cli.finding import Finding
from worker.cli.webhook_check import webhooks
from worker.ledger.inbox import Outcome


def probed(address: tuple[str, int], *secrets: str, path: str = PATH) -> Finding:
    [found] = asyncio.run(webhooks(f"http://{address[0]}:{address[1]}{path}", secrets))
    assert not any(secret in str(found) for secret in secrets)
    return found


@contextlib.contextmanager
def other(status: int, body: bytes = b"<html>welcome</html>", **headers: str) -> Iterator[tuple[str, int]]:
    """Serve something that is not our gateway."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield ("127.0.0.1", server.server_port)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_gateway_that_knows_every_secret_is_well_and_nothing_else_is_changed(door: Door) -> None:
    door.redis.set("sc1:{default}:unheard", 7)
    found = probed(door.address, SECRET, OLD_SECRET)
    assert (found.mark, found.remedy) == ("ok", "")
    assert door.counts() == {Outcome.PROBE.value: 2, Outcome.REFUSED.value: 1}
    assert door.redis.get("sc1:{default}:unheard") == "7", "a probe does not say that webhooks come"


@pytest.mark.parametrize("path", [f"{PATH}/default", f"{PATH}/"])
def test_the_probe_goes_the_way_of_any_webhook(door: Door, path: str) -> None:
    assert probed(door.address, SECRET, path=path).mark == "ok"


def test_a_secret_that_the_gateway_does_not_know_is_said_by_its_number(door: Door) -> None:
    found = probed(door.address, SECRET, "another")
    assert found.mark == "bad"
    assert "does not know secret 2 of 2 that is set here (401)" in found.text
    assert "KATALO_WEBHOOK_SECRET" in found.remedy


def test_a_gateway_without_a_secret_or_without_redis_can_not_store(gateway: Open) -> None:
    assert "can't store webhooks now (503)" in probed(gateway(KATALO_WEBHOOK_SECRET="").address, SECRET).text
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        away = gateway(redis=f"redis://127.0.0.1:{nobody.getsockname()[1]}/0")
        found = probed(away.address, SECRET)
    assert (found.mark, "Redis" in found.remedy) == ("bad", True)


@pytest.mark.parametrize(
    ("status", "headers", "said"),
    [
        (200, {}, "it is not our gateway that does"),
        (404, {}, "answers 404 to a webhook"),
        (301, {"location": "https://elsewhere.test/"}, "redirects (301); the API does not follow"),
        (401, {}, "does not know the secret that is set here (401)"),
    ],
)
def test_what_else_may_answer_there_is_told_apart(status: int, headers: dict[str, str], said: str) -> None:
    with other(status, **headers) as address:
        found = probed(address, SECRET)
    assert found.mark == "bad"
    assert said in found.text
    assert found.remedy


def test_whoever_takes_what_nobody_signed_is_no_gateway() -> None:
    with other(200, b'{"outcome": "ignored"}') as address:
        assert "takes messages that nobody signed" in probed(address, SECRET).text
        assert "takes messages that nobody signed" in probed(address).text


def test_nobody_at_the_address_is_one_line() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        found = probed(nobody.getsockname(), SECRET)
    assert found.mark == "bad"
    assert "can't be reached from here" in found.text
    assert "\n" not in str(found)


def test_without_a_secret_here_it_is_only_seen_that_somebody_refuses(door: Door) -> None:
    found = probed(door.address)
    assert (found.mark, "answers 401" in found.text) == ("note", True)
    assert "KATALO_WEBHOOK_SECRET" in found.remedy
