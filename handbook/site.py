"""The static site: `docs/` and the files beside it that belong to it, built by Zensical in its strict mode.

The site lies in `docs-site/`, which git ignores. Nothing is fetched while it is built; a drawing of states (mermaid) is
the one thing that a reader's browser asks somebody else for.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from handbook.pages import DOCS, ROOT, Page, pages

SITE: Final = ROOT / "docs-site"
#: Documents beside `docs/` that are pages of the site, by the name they have there.
BESIDE: Final[Mapping[str, str]] = {
    "SECURITY.md": "security-policy.md",
    "CHANGELOG.md": "changelog.md",
    "README.md": "index.md",
}
_LINK: Final = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")


class SiteNotBuilt(Exception):  # noqa: N818 - named after what happened
    """The site's builder found something wrong; the message is what it said."""


def build(site: Path = SITE, docs: Path = DOCS) -> int:
    """Build the site anew and return how many pages it has. Raises SiteNotBuilt, UnreadablePage."""
    sections = pages(docs)
    with tempfile.TemporaryDirectory() as staged:
        source = Path(staged) / "docs"
        shutil.copytree(docs, source)
        extra = {}
        for name, becomes in BESIDE.items():
            if becomes != "index.md" and (ROOT / name).is_file():
                (source / becomes).write_text(_from_root((ROOT / name).read_text("utf-8")), encoding="utf-8")
                extra[name] = becomes
        for path in source.glob("*.md"):
            path.write_text(_within(path.read_text("utf-8")), encoding="utf-8")
        config = Path(staged) / "zensical.toml"
        config.write_text(_config(sections, extra), encoding="utf-8")
        program = str(Path(sys.executable).with_name("zensical"))
        command = [program, "build", "--strict", "--clean", "--config-file", str(config)]
        built = subprocess.run(command, capture_output=True, text=True, check=False, cwd=staged)  # noqa: S603 - ours
        if built.returncode != 0:
            raise SiteNotBuilt(built.stdout + built.stderr)
        shutil.rmtree(site, ignore_errors=True)
        shutil.copytree(Path(staged) / "site", site)
    return len(list(site.glob("*.html")))


def _within(text: str) -> str:
    """Return a page of `docs/` whose links out of it lead to the site's pages, or are the paths they lead to."""

    def changed(match: re.Match[str]) -> str:
        label, target = match[1], match[2]
        path, _, anchor = target.partition("#")
        if not path.startswith("../"):
            return match[0]
        name = path.removeprefix("../")
        if name in BESIDE:
            return f"[{label}]({BESIDE[name]}{'#' + anchor if anchor else ''})"
        return label if name in label else f"{label} (`{name}`)"

    return _LINK.sub(changed, text)


def _from_root(text: str) -> str:
    """Return a document that lay beside `docs/` with the links that it has inside."""
    return _LINK.sub(
        lambda match: (
            f"[{match[1]}]({match[2].removeprefix('docs/')})"
            if match[2].startswith("docs/")
            else match[0]
            if "://" in match[2] or match[2].startswith("#")
            else f"[{match[1]}](../{match[2]})"
        ),
        text,
    )


def _config(sections: Mapping[str, list[Page]], extra: Mapping[str, str]) -> str:
    nav: list[dict[str, object]] = [{"Overview": "index.md"}]
    nav += [{section: [{page.title: page.name} for page in some]} for section, some in sections.items()]
    if extra:
        titles = {"SECURITY.md": "Security policy", "CHANGELOG.md": "Changelog"}
        nav.append({"Project": [{titles[name]: page} for name, page in extra.items()]})
    # Every JSON text below is TOML as well: its strings, lists and inline tables are written alike, but for the colon.
    lines = [
        "[project]",
        'site_name = "stagecrew"',
        'site_description = "Property photos staged by the Katalo API, each exactly once"',
        'docs_dir = "docs"',
        'site_dir = "site"',
        "use_directory_urls = false",
        f"nav = {_toml(nav)}",
        "[project.theme]",
        "font = false",
        'features = ["navigation.sections", "navigation.top", "content.code.copy", "toc.follow", "search.highlight"]',
        "[[project.theme.palette]]",
        'media = "(prefers-color-scheme: light)"',
        'scheme = "default"',
        "[[project.theme.palette]]",
        'media = "(prefers-color-scheme: dark)"',
        'scheme = "slate"',
        # What these documents use, and no more: GitHub shows them as well.
        "[project.markdown_extensions.tables]",
        "[project.markdown_extensions.toc]",
        "permalink = true",
        "[project.markdown_extensions.pymdownx.highlight]",
        "[project.markdown_extensions.pymdownx.superfences]",
        'custom_fences = [{ name = "mermaid", class = "mermaid", format = "pymdownx.superfences.fence_code_format" }]',
    ]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(name)} = {_toml(item)}" for name, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return json.dumps(value)
