"""What the documents name is there: commands, settings, make targets, events. Links are in `tests/documents`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from config.settings import variables
from worker.core import events

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_settings_that_are_named_exist(document: Path) -> None:
    named = set(re.findall(r"\b(?:STAGECREW|KATALO)_[A-Z_]+[A-Z]", document.read_text(encoding="utf-8")))
    assert named - variables() == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_and_make_targets_that_are_named_exist(document: Path) -> None:
    from typer.main import get_command

    from worker.cli import app

    whole = document.read_text(encoding="utf-8")
    code = [*re.findall(r"```sh\n(.*?)```", whole, re.DOTALL), *re.findall(r"`([^`\n]+)`", whole)]
    text = "\n".join(code)
    commands = set(get_command(app).commands)
    assert set(re.findall(r"\bstagecrew ([a-z]+)\b", text)) - commands == set()
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)\b", text)) - targets == set()


def test_the_readme_names_every_event() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(kind in text for kind in (events.STAGED, events.FAILED, events.LISTING_COMPLETED))
