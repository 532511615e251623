"""The documents as tests read them: their code blocks, what is said of each in a comment before it, links, anchors.

A page whose `sh` blocks are run says so in a comment of its own line, `<!-- sh: run -->`, or why none of them is:
`<!-- sh: not run: REASON -->`. A comment right before a block, which no reader sees either, tells more:

| comment | the block |
|---|---|
| `<!-- not run: REASON -->` | is not run; every other `sh` block of such a page is |
| `<!-- runs beside, until: TEXT -->` | is a process that goes on; what follows waits until it has printed the text |
| `<!-- ends with: CODE -->` | ends with this exit code instead of 0 |
| `<!-- before: COMMANDS -->` | is run after these commands, which make what it needs |
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
_RUN_MARK = re.compile(r"^<!-- sh: run -->$", re.MULTILINE)
_NONE_RUNS = re.compile(r"^<!-- sh: not run: (.+) -->$", re.MULTILINE)
_COMMENT = re.compile(r"<!-- (not run|runs beside, until|ends with|before):\s((?:(?!-->).)*?)\s-->\s*\Z", re.DOTALL)
_FENCE = re.compile(r"^( *)(`{3,})([\w+-]*)[^\n]*\n(.*?)^\1\2 *$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True, kw_only=True)
class Block:
    """One code block."""

    document: Path
    line: int
    language: str
    code: str
    said: dict[str, str] = field(default_factory=dict)
    #: It is run as a command.
    runs: bool = False

    def __str__(self) -> str:
        return f"{self.document.name}:{self.line}"


def blocks(document: Path) -> list[Block]:
    """Return the code blocks of a document, in order."""
    text, found = document.read_text(encoding="utf-8"), []
    for fence in _FENCE.finditer(text):
        indent, _, language, code = fence.groups()
        before, said = text[: fence.start()], {}
        while comment := _COMMENT.search(before):
            said[comment[1]] = comment[2].strip()
            before = before[: comment.start()]
        if language == "sh" and (reason := _NONE_RUNS.search(text)):
            said.setdefault("not run", reason[1])
        plain = "".join(line.removeprefix(indent) for line in code.splitlines(keepends=True))
        line = text.count("\n", 0, fence.start()) + 1
        runs = language == "sh" and _RUN_MARK.search(text) is not None and "not run" not in said
        found.append(Block(document=document, line=line, language=language, code=plain, said=said, runs=runs))
    return found


def prose(document: Path) -> str:
    """Return a document without its code blocks and comments."""
    text = _FENCE.sub("", document.read_text(encoding="utf-8"))
    return re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)


def links(document: Path) -> list[str]:
    """Return where the links and pictures of a document lead."""
    return [match[1] or match[2] for match in _LINK.finditer(prose(document))]


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub and the site make them."""
    found: set[str] = set()
    for heading in _HEADING.findall(prose(document)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        number = 0
        while (name := f"{slug}-{number}" if number else slug) in found:
            number += 1
        found.add(name)
    return found
