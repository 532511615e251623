"""The documents hold together: links and anchors lead somewhere, blocks are what they say, the index has every page."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import validate

from config.accounts import accounts_of
from config.settings import load_settings
from handbook.pages import DOCS, INDEX, UnreadablePage, page_of, pages, with_index
from handbook.site import SiteNotBuilt, build
from tests.documents.blocks import DOCUMENTS, Block, anchors, blocks, links
from tests.schemas import hold
from worker.cli import document as cli_document
from worker.cli.finding import Check
from worker.intake.record import ListingRecord, PhotoRecord
from worker.katalo.signature import sign

BLOCKS = [block for document in DOCUMENTS for block in blocks(document)]
#: Other names of languages that are checked here under one name; under these a block would escape.
ALIASES = {"bash", "shell", "console", "shell-session", "zsh", "py", "yml", "json5", "jsonc", "ndjson"}


def of(language: str) -> list[Any]:
    """Return the blocks of a language as cases of a test."""
    return [pytest.param(block, id=str(block)) for block in BLOCKS if block.language == language]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_pictures_lead_to_files_and_headings_that_are_there(document: Path) -> None:
    missing = []
    for link in links(document):
        target, _, anchor = link.partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        path = (document.parent / target) if target else document
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in anchors(path)):
            missing.append(link)
    assert missing == []


def test_a_link_to_a_heading_that_is_not_there_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# `stagecrew run`, twice\n\n[a](#stagecrew-run-twice) [b](#nowhere)\n\n## A b\n\n## A b\n", "utf-8"
    )
    assert links(page) == ["#stagecrew-run-twice", "#nowhere"]
    assert anchors(page) == {"stagecrew-run-twice", "a-b", "a-b-1"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_lists_are_written_so_that_every_reader_shows_them_alike(document: Path) -> None:
    """The site's Markdown wants an empty line before a list, and four blanks before what belongs to an item."""
    lines = re.sub(r"<!--.*?-->", "", document.read_text("utf-8"), flags=re.DOTALL).splitlines()
    item, fence, trouble = re.compile(r"(?:[*-]|1\.) \S"), False, []
    for number, (before, line) in enumerate(zip(["", *lines], lines, strict=False), 1):
        opens = line.lstrip().startswith("```")
        if opens and (len(line) - len(line.lstrip())) % 4:
            trouble.append(f"{number}: {line}")
        inside = fence or before.startswith(("    ", "  ")) or not before.strip() or item.match(before)
        if not opens and not inside and item.match(line):
            trouble.append(f"{number}: {line}")
        fence ^= opens
    assert trouble == []


def test_a_comment_is_said_of_the_block_behind_it_and_of_no_other(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# x\n\n<!-- sh: run -->\n<!-- not run: as it is -->\n```sh\na\n```\n\n"
        "<!-- before:\nb\n-->\n<!-- ends with: 1 -->\n```sh\nc\n```\n\n```sh\nd\n```\n",
        "utf-8",
    )
    first, second, third = blocks(page)
    assert (first.said, first.runs) == ({"not run": "as it is"}, False)
    assert (second.said, second.runs) == ({"before": "b", "ends with": "1"}, True)
    assert (third.said, third.runs) == ({}, True)
    page.write_text("# x\n\n<!-- sh: not run: it goes on for ever -->\n\n```sh\na\n```\n", "utf-8")
    [only] = blocks(page)
    assert (only.said, only.runs) == ({"not run": "it goes on for ever"}, False)


def test_blocks_are_named_so_that_they_are_checked() -> None:
    assert [str(block) for block in BLOCKS if block.language in ALIASES] == []


@pytest.mark.parametrize("block", of("sh"))
def test_a_shell_block_is_shell(block: Block) -> None:
    checked = subprocess.run(["bash", "-n"], input=block.code, text=True, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("block", of("json") + of("jsonl"))
def test_a_json_block_is_what_it_shows(block: Block) -> None:
    """Records are good ones, messages fit their schema, a doctor's report fits its own."""
    # What begins with a brace in each line is JSON Lines.
    lines = block.code.splitlines()
    each = block.language == "jsonl" or all(line.startswith("{") for line in lines)
    texts = lines if each else [block.code]
    for found in [json.loads(text) for text in texts if text.strip()]:
        if "specversion" in found:
            hold(found)
        elif found.get("schema") == "stagecrew.doctor.v1":
            validate(found, json.loads(cli_document.doctor_schema()))
        elif "photos" in found and "listing_id" in found and "stages" not in found:
            listing = ListingRecord.model_validate(found)
            assert [PhotoRecord.model_validate(photo).photo_id for photo in listing.photos]


@pytest.mark.parametrize("block", of("python"))
def test_a_python_block_is_python(block: Block) -> None:
    ast.parse(block.code)


@pytest.mark.parametrize("block", of("toml"))
def test_a_toml_block_is_a_file_of_accounts_that_can_be_used(block: Block, tmp_path: Path) -> None:
    found = tomllib.loads(block.code)["accounts"]
    (tmp_path / "accounts.toml").write_text(block.code, "utf-8")
    environ = {"STAGECREW_ACCOUNTS_FILE": str(tmp_path / "accounts.toml")}
    for account in found.values():
        for name, value in account.items():
            if name.endswith("_file"):
                (tmp_path / value).parent.mkdir(exist_ok=True)
                (tmp_path / value).write_text(f"secret-of-{value}", "utf-8")
            elif name.endswith("_env"):
                environ |= {one: f"secret-of-{one}" for one in ([value] if isinstance(value, str) else value)}
    assert accounts_of(load_settings(environ)).keys() == found.keys()


def test_yaml_blocks_are_yaml() -> None:
    assert all(list(yaml.safe_load_all(block.code)) for block in BLOCKS if block.language == "yaml")


def test_the_sandboxs_page_verifies_signatures_as_it_should() -> None:
    [block] = [one for one in BLOCKS if one.document.name == "sandbox.md" and one.language == "python"]
    names: dict[str, Any] = {}
    exec(block.code, names)
    good = sign(b"{}", "hush")
    assert names["is_from_katalo"](b"{}", good.upper(), "hush")
    assert not names["is_from_katalo"](b"{ }", good, "hush")
    assert not names["is_from_katalo"](b"{}", good, "other")


def test_every_page_is_in_the_index_and_in_the_navigation_and_the_index_is_current() -> None:
    sections = pages()
    assert {page.name for some in sections.values() for page in some} | {INDEX.name} == {
        p.name for p in DOCS.glob("*.md")
    }
    assert INDEX.read_text("utf-8") == with_index(INDEX.read_text("utf-8"), sections), "run `make docs`"


def test_a_page_that_no_section_names_stands_under_more(tmp_path: Path) -> None:
    (tmp_path / "index.md").write_text("# x\n\nx", "utf-8")
    (tmp_path / "strange.md").write_text("# Strange\n\nWhat it is for. More.\n", "utf-8")
    [page] = pages(tmp_path)["More"]
    assert (page.name, page.title, page.opening) == ("strange.md", "Strange", "What it is for")


def test_a_page_that_does_not_say_what_it_is_for_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bare.md").write_text("# Bare\n\n| a |\n|---|\n", "utf-8")
    with pytest.raises(UnreadablePage, match=r"bare\.md: a page opens with"):
        page_of(tmp_path / "bare.md")


def test_the_pages_made_of_the_command_line_are_current() -> None:
    assert cli_document.DOCUMENT.read_text("utf-8") == cli_document.render(), "run `make docs`"
    assert cli_document.SANDBOX.read_text("utf-8") == cli_document.with_faults(cli_document.SANDBOX.read_text("utf-8"))
    assert cli_document.DOCTOR_SCHEMA.read_text("utf-8") == cli_document.doctor_schema(), "run `make docs`"


def test_every_command_and_every_exit_code_is_in_the_commands_page() -> None:
    text = cli_document.DOCUMENT.read_text("utf-8")
    assert re.findall(r"^\| (\d+) \|", text, re.MULTILINE) == ["0", "1", "2", "130"]
    assert text.count("\n## `stagecrew ") >= 20


def test_the_site_is_built_of_all_pages_and_asks_nobody_else(tmp_path: Path) -> None:
    count = build(tmp_path / "site")
    made = {path.stem for path in (tmp_path / "site").glob("*.html")}
    assert {path.stem for path in DOCS.glob("*.md")} <= made
    assert count == len(made)
    pages_made = [path.read_text("utf-8") for path in (tmp_path / "site").glob("*.html")]
    fetched = {
        found
        for text in pages_made
        for found in re.findall(r'<(?:link|script|img)[^>]+(?:href|src)="?(https?://[^"\s>]+)', text)
    }
    assert fetched == set()


def test_a_link_that_leads_nowhere_breaks_the_build(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "index.md").write_text("# x\n\nx [away](nowhere.md)\n", "utf-8")
    with pytest.raises(SiteNotBuilt, match="page does not exist"):
        build(tmp_path / "site", docs)


def test_every_check_of_the_doctor_is_explained() -> None:
    text = (DOCS / "doctor.md").read_text("utf-8")
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == [check.value for check in Check]
