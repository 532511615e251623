"""Writes the JSON Schemas of all messages to `docs/events/`: `python -m worker.sinks.document`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from worker.sinks.schemas import EVENTS, schema_of

FOLDER: Final = Path(__file__).parents[2] / "docs" / "events"


def render() -> dict[str, str]:
    """Return each schema file's name and text."""
    return {f"{kind}.schema.json": json.dumps(schema_of(kind), indent=2) + "\n" for kind in EVENTS}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in render().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
