"""Listings out of files: JSON Lines, JSON, CSV, a folder of pictures, or standard input.

| given | read as |
|---|---|
| `-` | JSON Lines on standard input; relative paths are below the working folder |
| `*.jsonl`, `*.ndjson`, any other file | JSON Lines: one listing a line, one line in memory at a time |
| `*.json` | JSON Lines too, unless its first line is no whole object: then one listing or a list, read whole |
| `*.csv` | one photo a row (`table.py`) |
| a folder | its pictures are one listing (`folder.py`) |

Relative sources are below the file's own folder unless a base is given. Nothing here raises: what can't be read is a
BadRecord with its place, and the rest goes on.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

from worker.intake.addresses import LocalFiles
from worker.intake.folder import FolderSettings, read_folder
from worker.intake.outcome import BadRecord, Result
from worker.intake.record import parse_listing
from worker.intake.table import read_table

#: Holds a listing of some 50,000 photos; a longer line is no record, and is passed over without being kept.
MAX_LINE_BYTES: Final = 16 * 1024 * 1024
#: A JSON file that is not one record a line is read whole; larger ones have to be JSON Lines.
MAX_WHOLE_BYTES: Final = 256 * 1024 * 1024
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
_BOM: Final = b"\xef\xbb\xbf"


def read_records(
    path_or_dash: str | Path, base: Path | None = None, *, folder: FolderSettings | None = None
) -> Iterator[Result]:
    """Yield each listing and each thing that is wrong, in the order of the file.

    `base` is where relative sources are looked for; `folder` is what a folder's pictures are made into.
    """
    if str(path_or_dash) == "-":
        yield from read_json_lines(sys.stdin.buffer, name="standard input", base=base or Path.cwd())
        return
    path = Path(path_or_dash)
    try:
        if path.is_dir():
            yield from read_folder(path, folder or FolderSettings())
            return
        with path.open("rb") as lines:
            start = lines.read(3)
            lines.seek(0)
            if start.startswith(_UTF16):
                yield _unreadable(path.name, "it is UTF-16 text", "save it as UTF-8")
            elif path.suffix.lower() == ".csv":
                yield from read_table(lines, name=path.name, base=base or path.parent)
            elif path.suffix.lower() == ".json" and not _is_json_lines(lines):
                yield from _read_whole(lines, name=path.name, base=base or path.parent)
            else:
                yield from read_json_lines(lines, name=path.name, base=base or path.parent)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        yield _unreadable(str(path), f"it can't be read ({reason})", "give a file or folder that is there, or -")


def read_json_lines(
    lines: IO[bytes], *, name: str, base: Path | None, local_files: LocalFiles = True
) -> Iterator[Result]:
    """Yield the listing of each line; empty lines are passed over. Keeps one line at a time."""
    number = 0
    while line := lines.readline(MAX_LINE_BYTES):
        number += 1
        where = f"{name} line {number}"
        if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            while (rest := lines.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
            problem = f"the line is longer than {MAX_LINE_BYTES // 1024 // 1024} MB"
            yield _unreadable(where, problem, "write one listing a line, large ones as several")
            continue
        if number == 1:
            line = line.removeprefix(_BOM)
        yield from read_line(line, where=where, base=base, local_files=local_files)


def read_line(line: bytes, *, where: str, base: Path | None, local_files: LocalFiles = True) -> Iterator[Result]:
    """Yield what one line of JSON Lines says; nothing when it is empty."""
    if line.strip():
        found = _decoded(line, where, "each line is one whole JSON object, in UTF-8")
        if isinstance(found, BadRecord):
            yield found
        else:
            yield from parse_listing(found[0], where=where, base=base, local_files=local_files)


def read_document(data: bytes, *, name: str, base: Path | None, local_files: LocalFiles = True) -> Iterator[Result]:
    """Yield what a whole JSON document says: one listing, or a list of listings."""
    found = _decoded(data.removeprefix(_BOM), name, "write one listing a line (JSON Lines), or a list of listings")
    if isinstance(found, BadRecord):
        yield found
        return
    records = found[0] if isinstance(found[0], list) else [found[0]]
    for number, record in enumerate(records, 1):
        yield from parse_listing(record, where=f"{name} record {number}", base=base, local_files=local_files)


def _read_whole(lines: IO[bytes], *, name: str, base: Path | None) -> Iterator[Result]:
    data = lines.read(MAX_WHOLE_BYTES + 1)
    if len(data) > MAX_WHOLE_BYTES:
        yield _unreadable(name, "it is too large to be read whole", "write it as JSON Lines (.jsonl)")
        return
    yield from read_document(data, name=name, base=base)


def _is_json_lines(lines: IO[bytes]) -> bool:
    """Say whether the first line that is not empty is a whole object; `lines` is at its start before and after."""
    first = b""
    while not first.strip() and (first := lines.readline(MAX_LINE_BYTES)):
        first = first.removeprefix(_BOM)
    lines.seek(0)
    found = _decoded(first, "", "") if first.strip() else None
    return isinstance(found, tuple) and isinstance(found[0], dict)


def _decoded(data: bytes, where: str, remedy: str) -> tuple[Any] | BadRecord:
    """Return the JSON value in a tuple (it may be any value), or what is wrong with it."""
    try:
        return (json.loads(data.decode("utf-8"), parse_constant=_no_number),)
    except UnicodeDecodeError as error:
        problem = f"byte {error.start + 1} is not UTF-8"
    except json.JSONDecodeError as error:
        problem = f"it is not JSON: {error.msg} at line {error.lineno}, character {error.colno}"
        problem = problem.replace("line 1, ", "")
    except ValueError as error:
        problem = f"it is not JSON: {str(error).split(';')[0][:80]}"
    except RecursionError:
        problem = "it is nested too deeply"
    return _unreadable(where, problem, remedy)


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _unreadable(where: str, problem: str, remedy: str) -> BadRecord:
    return BadRecord(where=where, field="", problem=problem, remedy=remedy)
