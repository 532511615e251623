"""The diagram in the documents is the state machine of the code."""

from __future__ import annotations

import re
from pathlib import Path

from worker.core.photo import TRANSITIONS, Stage

DOCUMENT = Path(__file__).parents[2] / "docs" / "architecture.md"


def diagram() -> str:
    """Return the state machine as the document shows it."""
    lines = ["stateDiagram-v2", "    [*] --> accepted"]
    lines += [
        f"    {stage} --> {after}" for stage in Stage for after in sorted(TRANSITIONS[stage], key=list(Stage).index)
    ]
    return "\n".join(lines)


def test_the_diagram_shows_exactly_the_transitions_of_the_code() -> None:
    found = re.search(r"```mermaid\n(.*?)\n```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    assert found[1] == diagram()
