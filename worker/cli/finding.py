"""What `stagecrew doctor` finds: one part's answer with cause and remedy, as a line for people and as JSON.

The names in the JSON are stable: `docs/doctor.schema.json` has them all.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

#: Version of the JSON; another number is another form.
SCHEMA: Final = "stagecrew.doctor.v1"
#: A remedy and what does not fit stand below their line, so far in.
_INDENT: Final = "     "


class Mark(StrEnum):
    """How a part is: works; works, but; does not."""

    OK = "ok"
    NOTE = "note"
    BAD = "bad"


class Check(StrEnum):
    """What is looked at; the value is its name in the JSON."""

    PYTHON = "python"
    SETTINGS = "settings"
    REDIS = "redis"
    PERSISTENCE = "redis_persistence"
    EVICTION = "redis_eviction"
    CLOCK = "clock"
    LEDGER = "ledger"
    WORKERS = "workers"
    LEADER = "leader"
    ACCOUNT = "account"
    SPEND = "spend"
    PAUSE = "pause"
    PHOTOS = "photos"
    STUCK = "stuck"
    SINK = "sink"
    BROKER = "broker"
    STORAGE = "storage"
    API = "katalo_api"
    WEBHOOKS = "webhooks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One part's answer; `remedy` says what to do unless it is well."""

    check: Check
    mark: Mark
    text: str
    remedy: str = ""
    #: Which of several parts of this kind: a sink's name, a stage, a step.
    subject: str = ""
    #: Whose part it is, where there are several accounts.
    account: str = ""

    @property
    def part(self) -> str:
        """Return the part's name for people."""
        name = " ".join(filter(None, (self.check.value.replace("_", " "), self.subject)))
        return f"{self.account}: {name}" if self.account else name

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.mark:<4} {self.part}: {self.text.rstrip('.')}" + (f"; {self.remedy}" if self.remedy else "")


def ok(check: Check, text: str, *, subject: str = "") -> Finding:
    """Return that a part works."""
    return Finding(check=check, mark=Mark.OK, text=text, subject=subject)


def note(check: Check, text: str, remedy: str = "", *, subject: str = "") -> Finding:
    """Return that a part works, but."""
    return Finding(check=check, mark=Mark.NOTE, text=text, remedy=remedy, subject=subject)


def bad(check: Check, text: str, remedy: str, *, subject: str = "") -> Finding:
    """Return that a part does not work."""
    return Finding(check=check, mark=Mark.BAD, text=text, remedy=remedy, subject=subject)


def lines(finding: Finding, columns: int | None) -> str:
    """Return a finding for people: one line, or in a terminal of so many `columns` as many as it takes."""
    if columns is None:
        return str(finding)
    return textwrap.fill(str(finding), columns, subsequent_indent=_INDENT, break_long_words=False)


def closing(findings: Sequence[Finding]) -> str:
    """Return the last line: how many parts are not well."""
    numbers = {mark: sum(finding.mark is mark for finding in findings) for mark in Mark}
    if not numbers[Mark.BAD] and not numbers[Mark.NOTE]:
        return f"{len(findings)} checks, all is well"
    return f"{len(findings)} checks: {numbers[Mark.BAD]} bad, {numbers[Mark.NOTE]} to note, {numbers[Mark.OK]} ok"


def report(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the JSON: `well` is false when a part does not work."""
    return {
        "schema": SCHEMA,
        "well": not any(finding.mark is Mark.BAD for finding in findings),
        "findings": [
            {
                "check": finding.check.value,
                "subject": finding.subject or None,
                "account": finding.account or None,
                "mark": finding.mark.value,
                "text": finding.text,
                "remedy": finding.remedy or None,
            }
            for finding in findings
        ],
    }


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the report."""
    name_or_null = {"type": ["string", "null"]}
    finding = {
        "type": "object",
        "required": ["check", "subject", "account", "mark", "text", "remedy"],
        "properties": {
            "check": {"enum": [check.value for check in Check]},
            "subject": {**name_or_null, "description": "which sink, stage or step, where there are several"},
            "account": {**name_or_null, "description": "whose part it is, where there are several accounts"},
            "mark": {"enum": [mark.value for mark in Mark]},
            "text": {"type": "string", "description": "what was found, for people"},
            "remedy": {**name_or_null, "description": "what to do, for people"},
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": SCHEMA,
        "type": "object",
        "required": ["schema", "well", "findings"],
        "properties": {
            "schema": {"const": SCHEMA},
            "well": {"type": "boolean", "description": "false when a finding is marked bad"},
            "findings": {"type": "array", "items": finding},
        },
    }
