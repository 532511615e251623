"""How it is run: the targets, processes and variables that others rely on are there, and spelt alike everywhere."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from dotenv import dotenv_values

from config.settings import load_settings, variables

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
PROCESSES = dict(
    line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines() if not line.startswith("#")
)


def test_make_alone_prints_the_targets() -> None:
    printed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("setup", "run", "test", "check", "bench", "chaos", "docs"):
        assert re.search(rf"^ +make {target} +\S", printed, re.MULTILINE), target


def test_the_gate_checks_and_then_tests() -> None:
    """The tests come last, so that their closing line is the last that is printed."""
    gate = ROOT / ".ci" / "run"
    assert os.access(gate, os.X_OK)
    lines = [line for line in gate.read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "set -euo pipefail"
    assert lines[-2:] == ["make check", "make test"]


@pytest.mark.parametrize("command", sorted(PROCESSES.values()))
def test_a_process_of_the_procfile_is_a_command(command: str, tmp_path: Path) -> None:
    program, *rest = shlex.split(command)
    named = [word for word in rest if not word.startswith("--")]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("STAGECREW_")}
    environ["PYTHONPATH"] = str(ROOT)
    shown = subprocess.run(
        [BIN / program, *named, "--help"], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "Usage" in shown.stdout
    for option in re.findall(r"--conf=(\S+)", command):
        assert (ROOT / option).is_file()


def test_the_composed_fleet_runs_the_processes_of_the_procfile() -> None:
    assert {name: COMPOSE["services"][name]["command"] for name in PROCESSES} == PROCESSES


def test_the_composed_fleet_is_given_variables_that_exist() -> None:
    given = {name for service in COMPOSE["services"].values() for name in service.get("environment", {})}
    assert {name for name in given if not name.startswith("AWS_")} <= variables()
    # YAML's defaults look like ${NAME:-...} or ${NAME:?...}.
    used = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    assert {name for name in used if not name.startswith("AWS_")} <= variables()


def test_the_composed_fleet_waits_for_services_and_keeps_volumes_that_exist() -> None:
    services = COMPOSE["services"]
    assert {name for service in services.values() for name in service.get("depends_on", {})} <= set(services)
    kept = {volume.split(":")[0] for service in services.values() for volume in service.get("volumes", [])}
    assert kept == set(COMPOSE["volumes"])


def test_the_composed_ledger_forgets_nothing_and_flower_is_for_this_machine() -> None:
    assert "--appendonly yes" in COMPOSE["services"]["redis"]["command"]
    assert "--maxmemory-policy noeviction" in COMPOSE["services"]["redis"]["command"]
    assert COMPOSE["services"]["flower"]["ports"] == ["127.0.0.1:5555:5555"]
    assert ":?" in COMPOSE["services"]["flower"]["environment"]["STAGECREW_FLOWER_AUTH"]


def test_the_composed_gateway_is_watched_and_only_a_proxy_reaches_it() -> None:
    gateway = COMPOSE["services"]["gateway"]
    assert gateway["ports"] == ["127.0.0.1:8080:8080"]
    assert (gateway["environment"]["STAGECREW_GATEWAY_HOST"], gateway["environment"]["STAGECREW_GATEWAY_PORT"]) == (
        "0.0.0.0",
        "8080",
    )
    *_, program = gateway["healthcheck"]["test"]
    compile(program, "healthcheck", "exec")
    assert "127.0.0.1:8080/healthz" in program


def test_the_bucket_is_made_by_a_program() -> None:
    _, _, program = COMPOSE["services"]["bucket"]["command"]
    compile(program, "bucket", "exec")


def test_the_example_of_an_env_file_can_be_copied_as_it_is() -> None:
    example = {name: value or "" for name, value in dotenv_values(ROOT / ".env.example").items()}
    assert {name for name in example if not name.startswith("AWS_")} <= variables()
    settings = load_settings(example)
    assert settings.katalo_api_key is None
    assert settings.flower_auth is None
    assert settings.limits.model_fields_set == set(), "what is set wins over what the API reports"


def test_the_image_runs_as_nobody_in_particular_and_copies_what_exists() -> None:
    steps = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if line and not line.startswith("#")]
    assert "USER 10001" in steps
    assert any("--require-hashes" in step for step in steps)
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = {name for step in steps if step.startswith("COPY") and "--from" not in step for name in step.split()[1:-1]}
    assert {name.split("/")[0] for name in copied} == set(let_in)
    assert [name for name in let_in if not (ROOT / name).exists()] == []
