"""A worker's own port: what it answers, whether or not the worker is well, and what happens when it can't be had."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as families

from worker.metrics.meters import Meters
from worker.metrics.port import _server, open_port
from worker.metrics.pulse import HANGS_S, HEARD_S, SILENT_S, Beat, Pulse


class Clock:
    """A clock that stands until it is pushed."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pulse(clock: Clock) -> Pulse:
    """The pulse of a process that serves one account and has just turned."""
    pulse = Pulse(Meters(), clock)
    pulse.serves("default", Beat(clock))
    return pulse


def beat_of(pulse: Pulse) -> Beat:
    return pulse._beats["default"]


@pytest.fixture
def http(pulse: Pulse) -> Iterator[httpx.Client]:
    meters = Meters()
    meters.about(version="1.2.3", worker="w1@host")
    meters.account("default").call("GET /generations", "200", 0.1)
    with (
        open_port("127.0.0.1", 0, meters.registry, pulse) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        yield client


@pytest.mark.parametrize("accept", ["application/openmetrics-text; version=1.0.0", "text/plain", "*/*"])
def test_a_scraper_gets_the_format_it_asks_for(http: httpx.Client, accept: str) -> None:
    answer = http.get("/metrics", headers={"accept": accept})
    asked = "openmetrics" in accept
    assert answer.headers["content-type"].startswith("application/openmetrics-text" if asked else "text/plain")
    found = {sample.name for family in (openmetrics if asked else families)(answer.text) for sample in family.samples}
    assert {"stagecrew_api_requests_total", "stagecrew_worker_info"} <= found
    assert not any(name.endswith("_created") for name in found)


def test_a_worker_that_is_well_is_alive_and_ready(http: httpx.Client) -> None:
    assert [http.get(path).status_code for path in ("/healthz", "/readyz")] == [200, 200]
    assert http.head("/healthz").text == ""
    assert http.get("/elsewhere").status_code == 404


def test_a_loop_that_hangs_makes_the_worker_dead(http: httpx.Client, clock: Clock) -> None:
    clock.now_s += HANGS_S + 1
    answer = http.get("/healthz")
    assert answer.status_code == 503
    assert answer.json() == {"status": "unavailable", "reason": "the event loop has hung for 31 s"}


def test_a_redis_that_is_away_makes_a_worker_not_ready_and_never_dead(pulse: Pulse, clock: Clock) -> None:
    clock.now_s += HEARD_S + 1
    pulse._ticked_s = clock.now_s
    beat_of(pulse).failed()
    assert pulse.trouble() is None
    assert pulse.not_ready() == "Redis takes no heartbeat (account default)"
    beat_of(pulse).heard()
    assert pulse.not_ready() is None


def test_a_heartbeat_that_hangs_makes_a_worker_dead_unless_it_is_stopping(pulse: Pulse, clock: Clock) -> None:
    clock.now_s += SILENT_S + 1
    pulse._ticked_s = clock.now_s
    assert pulse.trouble() == "account default: the heartbeat has hung for 91 s"
    beat_of(pulse).draining = True
    assert pulse.trouble() is None
    assert pulse.not_ready() == "it is stopping"


def test_one_account_that_is_served_is_enough_to_be_ready(pulse: Pulse, clock: Clock) -> None:
    clock.now_s += HEARD_S + 1
    pulse._ticked_s = clock.now_s
    pulse.serves("other", Beat(clock))
    assert pulse.not_ready() is None
    for account in ("default", "other"):
        pulse.leaves(account)
    assert pulse.not_ready() == "no account is served"
    assert pulse.trouble() is None


def test_a_port_in_use_costs_a_line_and_the_next_one_is_taken(pulse: Pulse, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with contextlib.ExitStack() as stack:
        ports = [stack.enter_context(open_port("127.0.0.1", 0, Meters().registry, pulse))]
        for _ in range(2):
            ports.append(stack.enter_context(open_port("127.0.0.1", ports[0], Meters().registry, pulse)))
        assert None not in ports
        assert len(set(ports)) == 3
    said = [record for record in caplog.records if record.levelname == "WARNING"]
    assert [record.message for record in said] == ["metrics port in use, another was taken"] * 2
    assert {record.__dict__["asked_for"] for record in said} == {ports[0]}


def test_where_no_port_is_to_be_had_the_worker_goes_on_and_says_so_once(
    pulse: Pulse, caplog: pytest.LogCaptureFixture
) -> None:
    with open_port("203.0.113.1", 9808, Meters().registry, pulse) as port:
        assert port is None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.getsockname()[1]
        with open_port("127.0.0.1", number, Meters().registry, pulse, tried=1) as port:
            assert port is None
    assert [record.message for record in caplog.records] == [
        "no metrics port: nothing is shown, the worker goes on"
    ] * 2


def test_without_a_port_in_the_settings_nothing_is_opened(pulse: Pulse) -> None:
    with open_port("127.0.0.1", None, Meters().registry, pulse) as port:
        assert port is None


def test_a_scraper_that_goes_away_leaves_no_traceback(pulse: Pulse, capfd: pytest.CaptureFixture[str]) -> None:
    server = _server("127.0.0.1", range(1), Meters().registry, pulse)
    assert server is not None
    with server:
        for error in (BrokenPipeError("gone"), ConnectionResetError("gone"), ValueError("a defect")):
            try:
                raise error
            except (OSError, ValueError):
                server.handle_error(None, ("127.0.0.1", 1))
    written = capfd.readouterr().err
    assert "a defect" in written
    assert "gone" not in written
