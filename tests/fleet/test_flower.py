"""Flower, started with the app, shows every step by its name and by the photos in its arguments."""

from __future__ import annotations

import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from tests.fleet.conftest import DEADLINE_S, Fleet, free_port
from worker.core.photo import StepName
from worker.embedded.processes import spawn, stop

Build = Callable[..., Fleet]


def ask(port: int) -> dict[str, Any]:
    """Return Flower's tasks; empty while it is still starting."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/tasks?limit=500", timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except (urllib.error.URLError, ConnectionError):
        return {}


def until(what: str, true: Callable[[], bool]) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.1)


def test_flower_shows_steps_by_name_and_by_listing(fleet: Build) -> None:
    crew = fleet(workers=0)
    port = free_port()
    environ = crew.environ | {"FLOWER_UNAUTHENTICATED_API": "true"}
    with (crew.folder / "flower.log").open("wb") as log:
        command = [sys.executable, "-m", "celery", "-A", "worker.app", "flower", "--conf=config/flowerconfig.py"]
        flower = spawn([*command, f"--port={port}"], environ=environ, output=log)
    try:
        until("Flower", lambda: _answers(port))
        crew.start_worker()
        crew.enqueue(crew.photos(3))
        crew.wait_for_all(3)
        names = {f"stagecrew.{step}" for step in StepName}
        until("every step", lambda: {task["name"] for task in ask(port).values()} == names)
        tasks = list(ask(port).values())
    finally:
        stop(flower, within_s=10)
    assert all("listing/0/photo" in task["args"] for task in tasks)
    assert crew.sandbox.api_key not in json.dumps(tasks)
    assert "signature=" not in json.dumps(tasks)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthcheck", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False
