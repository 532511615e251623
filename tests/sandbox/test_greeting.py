"""`stagecrew sandbox`: what it prints to be used, and what it says when it can't be."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from dataclasses import fields

import httpx
import pytest
from typer.testing import CliRunner

from worker.cli import app
from worker.cli.sandbox import fates_of, faults_of
from worker.embedded.processes import spawn, stop
from worker.sandbox.__main__ import is_loopback
from worker.sandbox.config import Faults, SandboxConfig
from worker.sandbox.fates import Fate, Rule
from worker.sandbox.greeting import for_people

COMMAND = [sys.executable, "-m", "worker.cli", "sandbox", "--port"]


def test_what_it_prints_is_all_that_a_client_needs() -> None:
    process = spawn([*COMMAND, "0", "--speed", "20"], environ=dict(os.environ), output=subprocess.PIPE)
    assert process.stdout is not None
    try:
        printed = "".join(iter(lambda: _line(process), "export STAGECREW_SPEED=20\n"))
        exports = dict(re.findall(r"^export (\w+)=(.*)$", printed, re.MULTILINE))
        headers = {"Authorization": f"Bearer {exports['KATALO_API_KEY']}"}
        answer = httpx.get(f"{exports['KATALO_BASE_URL']}/api/v1/usage/summary", headers=headers)
        assert answer.status_code == 200
        [page] = re.findall(r"^# page: (\S+)", printed, re.MULTILINE)
        assert "Sandbox of the Katalo API" in httpx.get(page).text
        assert all(line.startswith(("#", "export ")) for line in printed.splitlines()), "a shell can read it"
        assert "WARNING" not in printed
    finally:
        stop(process, within_s=5)
        process.stdout.close()


def _line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline().decode()
    assert line, "it ended"
    return line


def test_beyond_this_machine_it_warns() -> None:
    said = for_people("http://10.0.0.5:8900", SandboxConfig(), loopback=False)
    assert "WARNING" in said
    assert "not for the internet" in said


@pytest.mark.parametrize(
    ("host", "only_here"),
    [("127.0.0.1", True), ("127.0.0.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)],
)
def test_which_addresses_are_of_this_machine_only(host: str, only_here: bool) -> None:
    assert is_loopback(host) is only_here


def test_a_port_that_is_taken_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [*COMMAND, str(taken.getsockname()[1])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert re.fullmatch(r"the sandbox can't listen on 127\.0\.0\.1:\d+: Address already in use\n", done.stderr)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--fault", "fire=1"], "there is no such fault; `stagecrew sandbox --list-faults` says which there are"),
        (["--fault", "errors_500=2"], "it is a share from 0 to 1"),
        (["--fault", "slow_ms=soon"], "'soon' is no number"),
        (["--fate", "kitchen"], "write PATTERN=FATE"),
        (["--fate", "*=burns"], "one of succeeds, fails, refused, at_once, never_ends"),
        (["--reading", "wild"], "choose one of newer, older"),
    ],
)
def test_what_it_can_not_be_started_with_is_said(given: list[str], said: str) -> None:
    result = CliRunner().invoke(app, ["sandbox", *given])
    assert result.exit_code == 2
    assert said in result.stderr


def test_faults_and_fates_of_the_command_line() -> None:
    faults = faults_of(["errors_500=0.25", "api_down", "slow_ms=20", "reissued_key=kat_live_new.x"])
    assert (faults.errors_500, faults.api_down, faults.slow_ms, faults.reissued_key) == (
        0.25,
        True,
        20,
        "kat_live_new.x",
    )
    assert fates_of(["a=b*=fails"]) == (Rule(pattern="a=b*", fate=Fate.FAILS),)


def test_the_list_has_every_fault_and_fate() -> None:
    printed = CliRunner().invoke(app, ["sandbox", "--list-faults"]).output
    assert re.findall(r"^--fault (\w+)", printed, re.MULTILINE) == [item.name for item in fields(Faults)]
    assert re.findall(r"^--fate  PATTERN=(\w+)", printed, re.MULTILINE) == [fate.value for fate in Fate]
