"""Each promise in docs/guarantees.md names tests that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
PROMISES = [line for line in TEXT.splitlines() if line.startswith("| ") and not line.startswith("| promised")]


def test_every_promise_names_a_test() -> None:
    assert len(PROMISES) > 20
    assert [line for line in PROMISES if not re.search(r"`(?:chaos|test_\w+)`", line.rsplit("|", 2)[1])] == []


def test_every_test_that_is_named_exists() -> None:
    tests = {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    assert set(re.findall(r"`(test_\w+)`", TEXT)) - tests == set()
