"""A CSV table with one photo a row: the columns have the names of a record's fields, in any order.

* `room_types` are separated by `;`, truth is `yes`, `no`, `true`, `false`, `1` or `0`, an empty cell is not given,
  spaces around a cell are dropped, and `metadata.KEY` is the photo's metadata under KEY.
* Rows of one listing may stand anywhere: they become one listing, in the order in which listings first occur. The
  table is therefore held in memory; use JSON Lines where it does not fit.
* The listing's own columns (`partner`, `priority`, `account`) need to be filled in once; a row that says otherwise
  than an earlier one is refused.
* A bad row is refused alone; a column that is not known, or a needed one that is missing, refuses the table.
* Comma, semicolon or tab, whichever stands in the first row.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from worker.intake.outcome import BadRecord, Result, shown
from worker.intake.record import LISTING_FIELDS, PHOTO_FIELDS, nearest, parse_listing

METADATA: Final = "metadata."
#: A longer line is no row of photos, but a picture, or a file without line ends.
MAX_ROW_CHARACTERS: Final = 1024 * 1024
_LISTING_COLUMNS: Final = tuple(name for name in LISTING_FIELDS if name not in {"photos", "metadata"})
_PHOTO_COLUMNS: Final = tuple(name for name in PHOTO_FIELDS if name != "metadata")
_COLUMNS: Final = (*_LISTING_COLUMNS, *_PHOTO_COLUMNS)
_NEEDED: Final = ("listing_id", "photo_id", "source")
_TRUTH: Final = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


@dataclass(slots=True, kw_only=True)
class _Group:
    """The rows of one listing, as they are gathered."""

    settings: dict[str, Any]
    photos: list[dict[str, Any]] = field(default_factory=list)
    places: list[str] = field(default_factory=list)


class _BadCell(ValueError):  # noqa: N818 - named after what was found
    """A cell that can't be read: column, problem, remedy."""


def read_table(data: IO[bytes], *, name: str, base: Path | None) -> Iterator[Result]:
    """Yield what is wrong with single rows, then the listings. `name` stands in messages; `base` as in a record."""
    # Bytes that are no UTF-8 become lone surrogates, which refuse the row that has them and no other.
    text = io.TextIOWrapper(data, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield from _read(text, name, base)
    finally:
        text.detach()


def _read(text: io.TextIOWrapper, name: str, base: Path | None) -> Iterator[Result]:
    lines = _Lines(text)
    try:
        first = next(lines, "")
    except csv.Error as error:
        yield _bad(f"{name} line 1", "", f"it can't be read ({error})", "the first row names the columns")
        return
    delimiter = max(",;\t", key=first.count)
    where = f"{name} line 1"
    try:
        header = [cell.strip() for cell in next(csv.reader([first], delimiter=delimiter, strict=True), [])]
    except csv.Error as error:
        yield _bad(where, "", f"the first row can't be read ({error})", "name the columns, separated by commas")
        return
    if problem := _header_problem(header):
        yield _bad(where, *problem)
        return
    groups: dict[str, _Group] = {}
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        try:
            cells = next(rows, None)
        except csv.Error as error:
            at = f"{name} line {lines.number}"
            yield _bad(at, "", f"it can't be read ({error})", "close quotes, and write a quote in a cell as two")
            continue
        if cells is None:
            break
        if any(cell.strip() for cell in cells):
            bad = _gather(groups, header, cells, f"{name} line {lines.number}")
            if bad is not None:
                yield bad
    for listing_id in list(groups):
        group = groups.pop(listing_id)
        record = {"listing_id": listing_id, **group.settings, "photos": group.photos}
        yield from parse_listing(record, where=group.places[0], base=base, places=group.places)


class _Lines:
    """The lines of a text, of which one that is too long is passed over: a csv.Error in its place."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self.number = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._text.readline(MAX_ROW_CHARACTERS)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) == MAX_ROW_CHARACTERS and not line.endswith("\n"):
            while (rest := self._text.readline(MAX_ROW_CHARACTERS)) and not rest.endswith("\n"):
                pass
            raise csv.Error(f"longer than {MAX_ROW_CHARACTERS:,} characters")
        return line


def _header_problem(header: list[str]) -> tuple[str, str, str] | None:
    for column in header:
        if column not in _COLUMNS and not (column.startswith(METADATA) and column != METADATA):
            near = nearest(column, _COLUMNS, cutoff=0.5)
            remedy = f"did you mean {shown(near)}?" if near else f"known are {', '.join(_COLUMNS)}, metadata.KEY"
            return shown(column), "there is no such column", remedy
        if header.count(column) > 1:
            return column, "the column is there twice", "keep one of them"
    for column in _NEEDED:
        if column not in header:
            return column, "the column is missing", "the first row names the columns, this one among them"
    return None


def _gather(groups: dict[str, _Group], header: list[str], cells: list[str], where: str) -> BadRecord | None:
    """Add a row to its listing; return what is wrong with it instead, if anything is."""
    row = {column: cell.strip() for column, cell in zip(header, cells, strict=False) if cell.strip()}
    listing_id, photo_id = row.pop("listing_id", None), row.get("photo_id")
    problem: tuple[str, str, str] | None = None
    if len(cells) > len(header):
        problem = ("", f"the row has {len(cells)} cells, the table {len(header)} columns", "quote cells with commas")
    elif listing_id is None:
        problem = ("listing_id", "it is missing", "fill it in on every row")
    else:
        try:
            problem = _add(groups, listing_id, row, where)
        except _BadCell as error:
            problem = error.args[0], error.args[1], error.args[2]
    return _bad(where, *problem, listing_id=listing_id, photo_id=photo_id) if problem else None


def _add(groups: dict[str, _Group], listing_id: str, row: dict[str, str], where: str) -> tuple[str, str, str] | None:
    settings: dict[str, Any] = {}
    photo: dict[str, Any] = {}
    for column, cell in row.items():
        if column.startswith(METADATA):
            photo.setdefault("metadata", {})[column.removeprefix(METADATA)] = sys.intern(cell)
        else:
            (settings if column in _LISTING_COLUMNS else photo)[column] = _value(column, cell)
    group = groups.get(listing_id) or _Group(settings={})
    for column, value in settings.items():
        known = group.settings.get(column, value)
        if known != value:
            return column, f"{shown(str(value))} here, {shown(str(known))} above", "give a listing one value"
    group.settings |= settings
    group.photos.append(photo)
    group.places.append(where)
    groups[listing_id] = group
    return None


def _value(column: str, cell: str) -> object:
    if column == "priority":
        if not (cell.isascii() and cell.isdigit() and len(cell) < 10):  # noqa: PLR2004 - more digits are no priority
            raise _BadCell(column, f"{shown(cell)} is no whole number", "priorities go from 0 to 9, 9 first")
        return int(cell)
    if column == "include_alternates":
        if cell.lower() not in _TRUTH:
            raise _BadCell(column, f"{shown(cell)} is neither yes nor no", f"write one of {', '.join(_TRUTH)}")
        return _TRUTH[cell.lower()]
    if column == "room_types":
        return [sys.intern(room.strip()) for room in cell.split(";") if room.strip()]
    # Settings repeat from row to row: one copy of each is enough.
    return cell if column in {"photo_id", "source"} else sys.intern(cell)


def _bad(
    where: str, column: str, problem: str, remedy: str, *, listing_id: str | None = None, photo_id: str | None = None
) -> BadRecord:
    return BadRecord(
        where=where, listing_id=listing_id, photo_id=photo_id, field=column, problem=problem, remedy=remedy
    )
