"""Rules of the house for what is in the repository's files."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Places that belong to the machine somebody works on, and hosts that packages come from.
FOREIGN = re.compile(
    r"/(?:root|work|Users)/[a-z.]|/home/[a-z]+/"
    r"|\bpypi\.org|pythonhosted\.|registry\.npmjs|proxy\.golang|--(?:extra-)?index-url[ =]|--find-links[ =]"
)
LONGEST_FILE_LINES = 400


def tracked() -> list[Path]:
    """What is, or would be, committed."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    return sorted({ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()})


FILES = tracked()
LUA = [path for path in FILES if path.suffix == ".lua"]
#: A file that others include holds functions and is called by none.
INCLUDED = {name for path in LUA for name in re.findall(r"^-- include: (\w+)$", path.read_text(), re.MULTILINE)}
SHARED = [path for path in LUA if path.parent == ROOT / "worker" / "lua" and path.stem in INCLUDED]
SCRIPTS = [path for path in LUA if path not in SHARED]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_the_rules_find_the_files_they_are_about() -> None:
    assert len(SCRIPTS) >= 8
    assert any(name_of(path) == "worker/core/decide.py" for path in FILES)


def test_no_file_of_code_is_long() -> None:
    lines = {name_of(path): len(path.read_text().splitlines()) for path in FILES if path.suffix in {".py", ".lua"}}
    assert {name: count for name, count in lines.items() if count > LONGEST_FILE_LINES} == {}


@pytest.mark.parametrize(
    "parts", [("/ro", "ot/x"), ("/ho", "me/me/x"), ("https://py", "pi.org"), ("--index-", "url x")]
)
def test_a_foreign_place_is_recognised(parts: tuple[str, str]) -> None:
    assert FOREIGN.search("".join(parts))


def test_no_file_names_a_registry_or_somebodys_folder() -> None:
    found = {}
    for path in FILES:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if match := FOREIGN.search(text):
            found[name_of(path)] = match[0]
    assert found == {}


def test_no_module_is_named_after_nothing() -> None:
    vague = {"utils", "util", "common", "helpers", "helper", "manager", "misc"}
    assert [name_of(path) for path in FILES if vague & set(path.relative_to(ROOT).with_suffix("").parts)] == []


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_a_script_says_how_it_is_called(path: Path) -> None:
    lines = path.read_text().splitlines()
    header = lines[: next(number for number, line in enumerate(lines) if not line.startswith("--"))]
    assert re.match(r"-- \S", header[0]), "the first line says what it is for"
    for word in ("KEYS", "ARGV", "RETURNS"):
        assert any(line.startswith(f"-- {word}: ") for line in header), word


@pytest.mark.parametrize("path", SHARED, ids=name_of)
def test_an_included_file_says_what_it_is_for(path: Path) -> None:
    assert re.match(r"-- \S", path.read_text())


def test_the_core_imports_the_standard_library_and_itself() -> None:
    foreign = set()
    for path in (ROOT / "worker" / "core").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            else:
                continue
            foreign |= {
                f"{path.name}: {module}"
                for module in modules
                if module.split(".")[0] not in sys.stdlib_module_names and not module.startswith("worker.core")
            }
    assert foreign == set()


def test_no_module_of_ours_is_called_like_one_of_pythons() -> None:
    tops = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    assert tops & sys.stdlib_module_names == set()
