"""What fleets are deployed with: image, compose, Kubernetes, systemd; linted, and held against schemas and each other.

No engine runs here: that the image builds and containers start is tried by hand (docs/deployment.md says how).
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

import worker
from config.settings import variables

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
PROCFILE = (ROOT / "Procfile").read_text()
PROCESSES = dict(line.split(": ", 1) for line in PROCFILE.splitlines() if not line.startswith("#"))
DOCKERFILE = (ROOT / "Dockerfile").read_text()
KUBERNETES = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
OBJECTS: list[dict[str, Any]] = [
    found for file in KUBERNETES if file.name != "kustomization.yaml" for found in yaml.safe_load_all(file.read_text())
]
UNITS = sorted((ROOT / "deploy" / "systemd").iterdir())


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {found["metadata"]["name"]: found for found in OBJECTS if found["kind"] == kind}


PODS = {name: found["spec"]["template"]["spec"] for name, found in of_kind("Deployment").items()}


def test_the_dockerfile_has_nothing_that_a_linter_minds() -> None:
    linted = subprocess.run([BIN / "hadolint", ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (linted.returncode, linted.stdout) == (0, "")


def test_signals_reach_python_and_nobody_is_root() -> None:
    assert re.search(r'^CMD \["stagecrew", "worker"\]$', DOCKERFILE, re.MULTILINE), "no shell stands between"
    assert "STOPSIGNAL SIGTERM" in DOCKERFILE
    assert re.search(r"^USER (\d+)$", DOCKERFILE, re.MULTILINE), "a number, so that an orchestrator can check it"
    assert set(re.findall(r"STAGECREW_\w+", DOCKERFILE)) <= variables()


@pytest.mark.parametrize("name", ["bucket", *PROCESSES])
def test_a_composed_service_of_the_image_can_change_nothing(name: str) -> None:
    service = COMPOSE[name]
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_composed_workers_can_be_any_number() -> None:
    assert {"container_name", "ports", "hostname"} & set(COMPOSE["worker"]) == set()


def test_whoever_stops_a_worker_waits_longer_than_it_takes() -> None:
    composed = COMPOSE["worker"]
    assert seconds(composed["stop_grace_period"]) > float(composed["environment"]["STAGECREW_SHUTDOWN_GRACE_S"])
    settings = of_kind("ConfigMap")["stagecrew"]["data"]
    pod, gateway = PODS["stagecrew-worker"], PODS["stagecrew-gateway"]
    assert pod["terminationGracePeriodSeconds"] > float(settings["STAGECREW_SHUTDOWN_GRACE_S"])
    assert gateway["terminationGracePeriodSeconds"] > float(settings["STAGECREW_GATEWAY_DRAIN_S"]) + 10
    unit = (ROOT / "deploy" / "systemd" / "stagecrew-worker@.service").read_text()
    patience, grace = (re.search(rf"{name}=(\d+)", unit) for name in ("TimeoutStopSec", "STAGECREW_SHUTDOWN_GRACE_S"))
    assert patience is not None
    assert grace is not None
    assert int(patience[1]) > int(grace[1])


def seconds(text: str) -> float:
    assert text.endswith("s")
    return float(text[:-1])


CHECKS = {
    "compose": COMPOSE["worker"]["healthcheck"]["test"][1].replace("$$", "$"),
    **{
        probe: PODS["stagecrew-worker"]["containers"][0][probe]["exec"]["command"][2]
        for probe in ("startupProbe", "livenessProbe")
    },
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_a_workers_check_sees_a_sign_of_life_that_is_young(check: str, tmp_path: Path) -> None:
    """The command that containers run, on a file of this test's."""
    file = tmp_path / "alive"
    assert "STAGECREW_ALIVE_FILE=/tmp/stagecrew-alive" in DOCKERFILE
    command = check.replace("/tmp/stagecrew-alive", str(file))

    def well() -> bool:
        return subprocess.run(["sh", "-c", command], stderr=subprocess.DEVNULL, check=False).returncode == 0

    assert not well(), "there is no file"
    file.touch()
    assert well()
    os.utime(file, (0, 0))
    assert not well(), "it is old"


def test_the_images_own_check_sees_a_worker_that_has_stopped_and_leaves_other_kinds_alone(tmp_path: Path) -> None:
    file = tmp_path / "alive"
    [command] = re.findall(r"^HEALTHCHECK .*\\\n +CMD (.*)$", DOCKERFILE, re.MULTILINE)
    arguments = json.loads(command.replace("/tmp/stagecrew-alive", str(file)))

    def well() -> bool:
        return subprocess.run(arguments, check=False).returncode == 0

    assert well(), "a gateway has no file"
    file.touch()
    assert well()
    os.utime(file, (0, 0))
    assert not well()


@pytest.mark.parametrize("version", ["1.30", kubernetes_validate.latest_version()])
def test_the_kubernetes_files_are_what_kubernetes_knows(version: str) -> None:
    known = [found for found in OBJECTS if found["kind"] != "ScaledObject"]
    assert len(known) >= 10
    for found in known:
        kubernetes_validate.validate(found, version, strict=True)


def test_the_kustomization_names_files_and_the_release() -> None:
    found = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "kustomization.yaml").read_text())
    there = {file.name for file in KUBERNETES} | {"secret.yaml"}
    assert set(found["resources"]) <= there
    assert [(image["name"], image["newTag"]) for image in found["images"]] == [("stagecrew", worker.__version__)]


@pytest.mark.parametrize("name", sorted(PODS))
def test_a_pod_runs_a_process_of_the_procfile_as_nobody_on_a_read_only_root(name: str) -> None:
    pod = PODS[name]
    [container] = pod["containers"]
    assert container["image"] == "stagecrew"
    assert shlex.join(container["args"]) == PROCESSES[name.removeprefix("stagecrew-")]
    assert "command" not in container
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert f"USER {pod['securityContext']['runAsUser']}\n" in DOCKERFILE
    assert pod["automountServiceAccountToken"] is False
    secured = container["securityContext"]
    assert (secured["readOnlyRootFilesystem"], secured["allowPrivilegeEscalation"]) == (True, False)
    assert secured["capabilities"] == {"drop": ["ALL"]}
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/tmp"]
    assert "memory" in container["resources"]["limits"]
    assert "livenessProbe" in container


def test_kubernetes_hands_over_settings_that_exist_and_keeps_secrets_apart() -> None:
    settings = of_kind("ConfigMap")["stagecrew"]["data"]
    secrets = of_kind("Secret")["stagecrew"]["stringData"]
    assert {name for name in {*settings, *secrets} if not name.startswith("AWS_")} <= variables()
    assert all(isinstance(value, str) for value in settings.values()), "a number would be refused"
    assert [name for name in settings if re.search("KEY|SECRET|TOKEN|AUTH|REDIS_URL", name)] == []
    for pod in PODS.values():
        sources = pod["containers"][0]["envFrom"]
        assert sources == [{"configMapRef": {"name": "stagecrew"}}, {"secretRef": {"name": "stagecrew"}}]


def test_workers_show_the_metrics_that_alerts_look_at() -> None:
    worker = of_kind("Deployment")["stagecrew-worker"]["spec"]["template"]
    [container] = worker["spec"]["containers"]
    given = {one["name"]: one["value"] for one in container["env"]}
    composed = COMPOSE["worker"]["environment"]
    assert given == {name: composed[name] for name in ("STAGECREW_METRICS_HOST", "STAGECREW_METRICS_PORT")}
    assert set(given) <= variables()
    [port] = container["ports"]
    assert str(port["containerPort"]) == given["STAGECREW_METRICS_PORT"]
    assert worker["metadata"]["annotations"]["prometheus.io/port"] == given["STAGECREW_METRICS_PORT"]


def test_selectors_find_the_pods_that_they_mean() -> None:
    labels = {name: found["spec"]["template"]["metadata"]["labels"] for name, found in of_kind("Deployment").items()}
    for kind in ("Service", "PodDisruptionBudget"):
        for name, found in of_kind(kind).items():
            selector = found["spec"]["selector"]
            assert selector.get("matchLabels", selector) == labels[name]


def test_what_scales_workers_names_them_and_counts_by_metrics_that_the_gateway_shows() -> None:
    keda, plain = of_kind("ScaledObject")["stagecrew-worker"], of_kind("HorizontalPodAutoscaler")["stagecrew-worker"]
    assert keda["spec"]["scaleTargetRef"]["name"] in PODS
    assert plain["spec"]["scaleTargetRef"]["name"] in PODS
    assert keda["spec"]["minReplicaCount"] >= 1, "upkeep and deliveries are workers' too"
    shown = "\n".join(file.read_text() for file in (ROOT / "worker").rglob("*.py") if "metrics" in str(file))
    for trigger in keda["spec"]["triggers"]:
        assert trigger["type"] == "prometheus"
        for metric in re.findall(r"stagecrew_(\w+)", trigger["metadata"]["query"]):
            assert f'"{metric}"' in shown, metric


def test_units_run_the_processes_of_the_procfile() -> None:
    commands = {
        unit.name.split(".")[0].removeprefix("stagecrew-").rstrip("@"): found[1]
        for unit in UNITS
        if (found := re.search(r"^ExecStart=/opt/stagecrew/bin/(.+)$", unit.read_text(), re.MULTILINE))
    }
    assert set(commands) == set(PROCESSES)
    for name, command in commands.items():
        assert command.replace("/opt/stagecrew/", "config/").startswith(PROCESSES[name])


def test_systemd_understands_the_units_and_finds_them_well_shut(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed: apt-get install systemd")
    for unit in UNITS:
        # The programs are not where they will be.
        text = unit.read_text().replace("ExecStart=/opt/stagecrew/bin/", "ExecStart=/usr/bin/env ")
        (tmp_path / unit.name).write_text(text)
    services = [file for file in sorted(tmp_path.iterdir()) if file.suffix == ".service"]
    verified = subprocess.run([analyze, "verify", *services], capture_output=True, text=True, check=False)
    ours = [line for line in verified.stderr.splitlines() if "stagecrew" in line]
    assert (verified.returncode, ours) == (0, [])
    for service in services:
        rated = subprocess.run(
            [analyze, "security", "--offline=true", "--threshold=25", service],
            capture_output=True,
            text=True,
            check=False,
        )
        assert rated.returncode == 0, rated.stdout[-300:]
