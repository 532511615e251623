"""A worker that can't start says why in one line, and ends as with wrong settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fleet.conftest import ROOT

STORE = {"STAGECREW_STORAGE_URL": f"{Path(__file__).as_uri()}/below-a-file"}
ALIVE = {"STAGECREW_ALIVE_FILE": f"{__file__}/below-a-file"}


@pytest.mark.parametrize("command", ["worker.cli worker", "celery -A worker.app worker"])
@pytest.mark.parametrize("broken", [STORE, ALIVE], ids=["store", "alive"])
def test_it_says_why_and_ends_with_the_code_of_wrong_settings(
    command: str, broken: dict[str, str], tmp_path: Path
) -> None:
    environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | {
        "C_FORCE_ROOT": "1",
        "STAGECREW_REDIS_URL": f"unix://{tmp_path}/nobody.sock",
        "STAGECREW_STORAGE_URL": (tmp_path / "output").as_uri(),
        "STAGECREW_LOG_FORMAT": "json",
    }
    done = subprocess.run(
        [sys.executable, "-m", *command.split()],
        env=environ | broken,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    said = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert done.returncode == 2, done.stderr
    assert Path(__file__).name in next(line["reason"] for line in said if line["event"] == "the worker can't start")
    assert "Traceback" not in done.stdout + done.stderr
