"""A gateway that is told to end: not ready at once, deaf after its drain time, and what it was asked is answered."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.fleet.conftest import free_port
from worker.embedded.processes import spawn, stop

RECORD = json.dumps(
    {"listing_id": "elm", "photos": [{"photo_id": "hall", "source": "https://cdn.example.com/1.jpg", "mode": "clean"}]}
).encode()


@contextlib.contextmanager
def running_gateway(
    redis_url: str, folder: Path, **variables: str
) -> Iterator[tuple[subprocess.Popen[bytes], tuple[str, int]]]:
    """Run a gateway and wait for the line that says that it listens."""
    environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | {
        "STAGECREW_REDIS_URL": redis_url,
        "STAGECREW_STORAGE_URL": (folder / "output").as_uri(),
        "STAGECREW_INTAKE_TOKENS": "0123456789abcdef0123456789abcdef",
        "PYTHONUNBUFFERED": "1",
        **variables,
    }
    port = free_port()
    command = [sys.executable, "-m", "worker.cli", "gateway", "--port", str(port)]
    process = spawn(command, environ=environ, output=subprocess.PIPE)
    assert process.stdout is not None
    try:
        while b"gateway: http" not in (line := process.stdout.readline()):
            assert line, "the gateway ended"
        yield process, ("127.0.0.1", port)
    finally:
        stop(process, within_s=20)
        process.stdout.close()


def listens(address: tuple[str, int]) -> bool:
    """Say whether anybody is let in."""
    try:
        socket.create_connection(address).close()
    except ConnectionRefusedError:
        return False
    return True


def test_it_is_not_ready_while_it_drains_and_lives_until_it_is_told_again(redis_url: str, tmp_path: Path) -> None:
    with (
        running_gateway(redis_url, tmp_path, STAGECREW_GATEWAY_DRAIN_S="600") as (process, (host, port)),
        httpx.Client(base_url=f"http://{host}:{port}", timeout=60) as http,
    ):
        assert http.get("/readyz").status_code == 200
        process.send_signal(signal.SIGTERM)
        while (answer := http.get("/readyz")).status_code == 200:
            pass
        assert (answer.status_code, answer.json()) == (503, {"status": "draining"})
        assert http.get("/healthz").status_code == 200
        with socket.create_connection((host, port)):
            process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_a_request_under_way_is_answered_after_the_door_is_shut(redis_url: str, tmp_path: Path) -> None:
    with running_gateway(redis_url, tmp_path) as (process, address), socket.create_connection(address) as client:
        client.sendall(
            b"POST /v1/listings HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer 0123456789abcdef0123456789abcdef\r\nExpect: 100-continue\r\n"
            b"Content-Length: %d\r\n\r\n" % len(RECORD)
        )
        assert client.recv(1000).startswith(b"HTTP/1.1 100"), "it is being answered"
        process.send_signal(signal.SIGTERM)
        while listens(address):
            pass
        client.sendall(RECORD)
        answer = b"".join(iter(lambda: client.recv(10_000), b""))
        assert answer.startswith(b"HTTP/1.1 20"), answer
        assert b'"accepted":1' in answer.replace(b" ", b""), answer
        assert process.wait(60) == 0
