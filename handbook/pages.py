"""The pages of `docs/`: which there are, in which order and section, and what each says that it is for.

Every page is in `docs/index.md` and in the site's navigation: one that no section names stands under "More".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
DOCS: Final = ROOT / "docs"
INDEX: Final = DOCS / "index.md"
#: Where a page stands; names of pages without `.md`. A page that is not named stands in the last section.
SECTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "Begin": ("quickstart", "sandbox"),
    "Connect your system": ("enqueueing", "events", "webhooks", "accounts"),
    "Operate": (
        "deployment",
        "runbook",
        "alerts",
        "operations",
        "money",
        "retention",
        "doctor",
        "screens",
        "metrics",
        "logs",
        "security",
    ),
    "Look up": ("settings", "cli", "benchmarks"),
    "Understand": ("guarantees", "architecture", "flow-control", "chaos"),
    "More": (),
}
BEGIN: Final = "<!-- made of the pages by `make docs` -->"
END: Final = "<!-- end -->"
_COMMENT: Final = re.compile(r"<!--.*?-->", re.DOTALL)
_TITLE: Final = re.compile(r"^# (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page: its file below `docs/`, its title, and its opening sentence."""

    name: str
    title: str
    opening: str


class UnreadablePage(ValueError):  # noqa: N818 - it names what was found
    """A page does not open as every page does; the message says which and how it should."""


def page_of(path: Path) -> Page:
    """Return what a page says of itself. Raises UnreadablePage."""
    text = _COMMENT.sub("", path.read_text(encoding="utf-8"))
    title = _TITLE.search(text)
    after = text[title.end() :].lstrip("\n") if title else ""
    paragraph = re.split(r"\n\s*\n", after, maxsplit=1)[0]
    if title is None or not re.match(r"[\w\[`*]", paragraph):
        message = f"{path}: a page opens with `# Title` and a paragraph that says what it is for"
        raise UnreadablePage(message)
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(paragraph.split())).replace("**", "")
    sentence = re.split(r"(?<=[.:])\s", plain, maxsplit=1)[0]
    return Page(name=path.name, title=title[1].replace("`", ""), opening=sentence.rstrip(".:"))


def pages(folder: Path = DOCS) -> dict[str, list[Page]]:
    """Return all pages by section, the index left out; a section without pages is left out too."""
    found = {path.stem: page_of(path) for path in sorted(folder.glob("*.md")) if path.name != INDEX.name}
    placed = {name for names in SECTIONS.values() for name in names}
    others = tuple(name for name in found if name not in placed)
    sections = {
        section: [found[name] for name in (names or others) if name in found] for section, names in SECTIONS.items()
    }
    return {section: some for section, some in sections.items() if some}


def with_index(text: str, sections: Mapping[str, list[Page]]) -> str:
    """Return `docs/index.md` with its list of pages, between its two marks, as the pages are now."""
    parts = [
        f"## {section}\n\n" + "\n".join(f"* [{page.title}]({page.name}): {_lower(page.opening)}" for page in some)
        for section, some in sections.items()
    ]
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n" + "\n\n".join(parts) + f"\n\n{END}{rest.partition(END)[2]}"


def _lower(sentence: str) -> str:
    """Return a sentence as it stands behind a colon; names keep their capitals."""
    first = sentence.split(" ", 1)[0]
    return sentence if first[1:] != first[1:].lower() or "`" in first else sentence[0].lower() + sentence[1:]
