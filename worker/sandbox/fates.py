"""Fates that somebody chose: what becomes of the jobs of a photo, told by a name that its create carries.

A name is the job's `reference`, any text in its `metadata`, or the name of the file that was uploaded. A pattern is a
shell's: `listing-7*`, `*kitchen*`. The first rule that fits decides; faults decide for all other jobs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, Final

from worker.sandbox.changes import BadChange

#: Rules and characters of a pattern, at most: every create is held against all of them.
MOST_RULES: Final = 100
MOST_CHARACTERS: Final = 200


class Fate(StrEnum):
    """What becomes of a job."""

    SUCCEEDS = "succeeds"
    FAILS = "fails"
    REFUSED = "refused"
    AT_ONCE = "at_once"
    NEVER_ENDS = "never_ends"

    @property
    def means(self) -> str:
        """Return what it means, for people."""
        return _MEANS[self]


_MEANS: Final[Mapping[Fate, str]] = {
    Fate.SUCCEEDS: "The job succeeds, whatever faults are on.",
    Fate.FAILS: "The job ends as failed.",
    Fate.REFUSED: "Its create answers 422.",
    Fate.AT_ONCE: "The job succeeds with its create.",
    Fate.NEVER_ENDS: "The job runs for ever.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Jobs of whose names one fits `pattern` have this fate."""

    pattern: str
    fate: Fate


def rules_of(asked: object) -> tuple[Rule, ...]:
    """Return the rules of `[{"pattern": ..., "fate": ...}]`, the first one first. Raises BadChange."""
    fates = ", ".join(fate.value for fate in Fate)
    if not isinstance(asked, list) or len(asked) > MOST_RULES:
        message = f'send a list of at most {MOST_RULES} rules like {{"pattern": "*kitchen*", "fate": "fails"}}'
        raise BadChange(message)
    found = []
    for rule in asked:
        if not isinstance(rule, Mapping) or set(rule) != {"pattern", "fate"} or rule["fate"] not in set(Fate):
            message = f"a rule has a pattern and a fate, one of {fates}"
            raise BadChange(message)
        if not isinstance(rule["pattern"], str) or not 1 <= len(rule["pattern"]) <= MOST_CHARACTERS:
            message = f"pattern: it is a text of 1 to {MOST_CHARACTERS} characters"
            raise BadChange(message)
        found.append(Rule(pattern=rule["pattern"], fate=Fate(rule["fate"])))
    return tuple(found)


def fate_of(rules: Iterable[Rule], body: Mapping[str, Any], file_name: str) -> Fate | None:
    """Return the fate that somebody chose for a create with this body; None: nobody did."""
    names = [name for name in _names(body, file_name) if name]
    return next((rule.fate for rule in rules if any(fnmatchcase(name, rule.pattern) for name in names)), None)


def _names(body: Mapping[str, Any], file_name: str) -> Iterator[str]:
    yield file_name
    for text in (body.get("reference"), *(body.get("metadata") or {}).values()):
        if isinstance(text, str):
            yield text
