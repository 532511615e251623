"""What is installed: by version and hash, whatever index it comes from, and the same everywhere."""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import worker

ROOT = Path(__file__).parents[2]
LOCKS = [ROOT / "requirements.lock", ROOT / "requirements-run.lock"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins(lock: Path) -> dict[str, str]:
    """Return each requirement of a lock with all its lines."""
    entries = re.split(r"\n(?=\S)", lock.read_text().strip())
    return {entry.split(" \\\n")[0].strip(): entry for entry in entries}


def of_project(*texts: str) -> list[Requirement]:
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_pin_has_a_version_and_a_hash(lock: Path) -> None:
    entries = pins(lock)
    assert len(entries) > 20
    assert [name for name in entries if not re.match(r"[a-z0-9.\[\],-]+==\S+", name)] == []
    assert [name for name, entry in entries.items() if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_names_no_address(lock: Path) -> None:
    assert re.findall(r"\w+://|file:|@ |--(?:extra-)?index|--find-links", lock.read_text()) == []


def test_what_an_image_runs_is_what_was_tested() -> None:
    everything, run = pins(LOCKS[0]), pins(LOCKS[1])
    assert run.items() <= everything.items()
    assert not any(name.startswith(("pytest", "mypy", "ruff")) for name in run)


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        (LOCKS[0], [*PROJECT["dependencies"], *chain(*PROJECT["optional-dependencies"].values())]),
        (LOCKS[1], PROJECT["dependencies"]),
    ],
    ids=["requirements.lock", "requirements-run.lock"],
)
def test_a_lock_has_what_the_project_asks_for(lock: Path, wanted: list[str]) -> None:
    """`make lock` resolves them anew."""
    locked = {}
    for name in pins(lock):
        pin = Requirement(name.replace(" ;", ";"))
        if pin.marker is None or pin.marker.evaluate(default_environment()):
            locked[canonicalize_name(pin.name)] = next(iter(pin.specifier)).version
    missing = [
        str(asked)
        for asked in of_project(*wanted)
        if not asked.specifier.contains(locked.get(canonicalize_name(asked.name), "0"), prereleases=True)
    ]
    assert missing == []


def test_the_release_has_one_number() -> None:
    assert PROJECT["version"] == worker.__version__
    assert f"## [{worker.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
