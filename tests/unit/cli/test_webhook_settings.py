"""What the command line makes of the webhook settings."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

from pydantic import SecretStr

from config.settings import load_settings
from worker.cli.crew import child_environ, worker_environ
from worker.cli.surroundings import surroundings
from worker.cli.webhook_check import webhooks

URL, SECRET = "https://hooks.example.com", "hush"


def test_the_doctor_says_nothing_of_webhooks_where_none_are_asked_for_and_misses_the_address_of_a_secret():
    assert asyncio.run(webhooks(None, [])) == []
    [found] = asyncio.run(webhooks(None, [SECRET]))
    assert (found.mark, found.check) == ("note", "webhooks")
    assert "STAGECREW_WEBHOOK_PUBLIC_URL" in found.remedy


def test_a_worker_of_a_run_is_told_where_webhooks_go_or_that_none_do():
    asked = worker_environ(load_settings({"STAGECREW_WEBHOOK_PUBLIC_URL": URL}))
    assert load_settings(asked).webhook_public_url == URL
    assert load_settings(worker_environ(load_settings({}))).webhook_public_url is None


def test_a_sandboxed_run_sends_nothing_to_a_gateway_that_the_world_reaches(redis_url: str, tmp_path: Path):
    given = load_settings({"STAGECREW_WEBHOOK_PUBLIC_URL": URL, "STAGECREW_STATE_DIR": str(tmp_path)})
    settings = given.model_copy(update={"redis_url": SecretStr(redis_url)})
    with surroundings(settings, out=tmp_path / "out", speed=100, seed=1) as around:
        assert around.settings.webhook_public_url is None


def test_a_port_that_is_taken_is_said_in_one_line(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        # A process of its own: the command sets up the process's logging.
        command = [sys.executable, "-m", "worker.cli", "gateway", "--port", port]
        environ = child_environ({"KATALO_WEBHOOK_SECRET": SECRET})
        done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    *_, line = done.stderr.splitlines()
    assert line.startswith(f"the gateway can't listen on 127.0.0.1:{port}: ")
    assert line.endswith("choose another --host or --port")
    assert "Traceback" not in done.stderr
