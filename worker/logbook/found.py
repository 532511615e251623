"""Finds what the code logs: every call of a module's `logger`, with its event, levels and fields."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
#: Packages whose lines are documented.
PACKAGES: Final = ("worker", "tasks", "config")
_LEVELS: Final = {"debug", "info", "warning", "error", "exception", "critical", "log"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a logger."""

    event: str
    #: `error` for `logger.exception`; `?` where the level is decided at run time.
    level: str
    #: Its fields, but for those that are bound to every line about a photo.
    fields: tuple[str, ...]
    traceback: bool
    module: str


class UnreadableCall(Exception):  # noqa: N818 - it is a fact about the code
    """A call of a logger has no literal event, or fields that can't be read from the code."""


def calls() -> Iterator[Call]:
    """Give every call of a logger. Raises UnreadableCall."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and (level := _level(node)) is not None:
                    yield _call(node, level, module)


def _level(node: ast.Call) -> str | None:
    found = node.func
    if isinstance(found, ast.Attribute) and isinstance(found.value, ast.Name) and found.value.id == "logger":
        return found.attr if found.attr in _LEVELS else None
    return None


def _call(node: ast.Call, level: str, module: str) -> Call:
    where = f"{module}:{node.lineno}"
    first = node.args[1 if level == "log" else 0]
    if not isinstance(first, ast.Constant):
        message = f"{where}: the event is no literal; write it out, so that docs/logs.md can name it"
        raise UnreadableCall(message)
    extra = next((keyword.value for keyword in node.keywords if keyword.arg == "extra"), None)
    if extra is not None and not isinstance(extra, ast.Dict):
        message = f"{where}: the fields are no literal; write them out, so that docs/logs.md can name them"
        raise UnreadableCall(message)
    names = [key.value for key in extra.keys if isinstance(key, ast.Constant)] if extra else []
    return Call(
        event=str(first.value),
        level={"log": "?", "exception": "error"}.get(level, level),
        fields=tuple(str(name) for name in names),
        traceback=level == "exception",
        module=module,
    )
