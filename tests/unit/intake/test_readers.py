"""JSON Lines, JSON, CSV, folders: what is read out of them, and that one bad line loses nothing else."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from worker.core.photo import NewListing
from worker.intake import readers
from worker.intake.folder import FolderSettings
from worker.intake.outcome import BadRecord, ParsedListing, Result
from worker.intake.readers import read_json_lines, read_records
from worker.intake.table import read_table


def line(listing_id: str, **photo: object) -> bytes:
    return json.dumps({"listing_id": listing_id, "photos": [{"photo_id": "p", "source": "a.jpg", **photo}]}).encode()


def listings(results: Iterator[Result] | list[Result]) -> list[NewListing]:
    return [result.listing for result in results if isinstance(result, ParsedListing)]


def bad(results: Iterator[Result] | list[Result]) -> list[str]:
    return [str(result) for result in results if isinstance(result, BadRecord)]


def write(folder: Path, name: str, data: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


BAD_LINES = {
    "cut off": (b'{"listing_id": "a', "is not JSON"),
    "no JSON": (b"hello", "is not JSON"),
    "not UTF-8": (b'{"listing_id": "\xff"}', "byte 17 is not UTF-8"),
    "not a number": (b'{"listing_id": NaN}', "NaN is no number"),
    "a number of 5,000 digits": (b"9" * 5000, "is not JSON"),
    "deep": (b"[" * 100_000, "nested too deeply"),
    "a list": (b"[]", "the record is a list"),
    "two objects": (b"{} {}", "is not JSON"),
}


@pytest.mark.parametrize(("wrong", "says"), BAD_LINES.values(), ids=BAD_LINES.keys())
def test_a_bad_line_is_named_and_the_others_go_on(tmp_path: Path, wrong: bytes, says: str) -> None:
    path = write(tmp_path, "x.jsonl", b"\n".join([line("1"), b"", wrong, line("2")]))
    results = list(read_records(path))
    assert [found.listing_id for found in listings(results)] == ["1", "2"]
    (refusal,) = bad(results)
    assert refusal.startswith("x.jsonl line 3: ")
    assert says in refusal
    assert refusal.isprintable()


def test_sources_are_below_the_files_own_folder_or_the_given_one(tmp_path: Path) -> None:
    path = write(tmp_path, "x.jsonl", line("1"))
    assert listings(read_records(path))[0].photos[0].request.source == (tmp_path / "a.jpg").as_uri()
    assert listings(read_records(path, Path("/else")))[0].photos[0].request.source == "file:///else/a.jpg"


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    path = write(tmp_path, "x.ndjson", b"\xef\xbb\xbf" + line("1") + b"\r\n" + line("2") + b"\r\n")
    assert [found.listing_id for found in listings(read_records(path))] == ["1", "2"]


def test_a_file_in_utf_16_is_told_to_be_saved_anew(tmp_path: Path) -> None:
    path = write(tmp_path, "x.jsonl", line("1").decode().encode("utf-16"))
    assert "save it as UTF-8" in bad(read_records(path))[0]


def test_an_endless_line_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "MAX_LINE_BYTES", 200)
    results = list(read_records(write(tmp_path, "x.jsonl", line("1") + b"\n" + b"x" * 5000 + b"\n" + line("2"))))
    assert [found.listing_id for found in listings(results)] == ["1", "2"]
    assert "x.jsonl line 2: the line is longer" in bad(results)[0]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([json.loads(line("1")), json.loads(line("2"))]),
        json.dumps([json.loads(line("1")), json.loads(line("2"))], indent=2),
        "\n" + line("1").decode() + "\n" + line("2").decode() + "\n",
    ],
)
def test_a_json_file_is_a_list_or_json_lines(tmp_path: Path, text: str) -> None:
    assert [found.listing_id for found in listings(read_records(write(tmp_path, "x.json", text)))] == ["1", "2"]


def test_a_json_file_may_be_one_listing_over_many_lines(tmp_path: Path) -> None:
    path = write(tmp_path, "x.json", json.dumps(json.loads(line("1")), indent=2))
    assert [found.listing_id for found in listings(read_records(path))] == ["1"]


def test_standard_input_is_json_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(line("1"))))
    results = list(read_records("-"))
    assert listings(results)[0].photos[0].request.source == (Path.cwd() / "a.jpg").as_uri()


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    assert "No such file" in bad(read_records(tmp_path / "none.jsonl"))[0]
    assert "can't be read" in bad(read_records("a\x00b"))[0]


def test_reading_is_lazy() -> None:
    """The first listing is there before the second line is asked for: memory does not grow with the file."""

    class Lines(io.BytesIO):
        lines = 0

        def readline(self, size: int | None = -1, /) -> bytes:
            self.lines += 1
            return line(str(self.lines)) + b"\n"

    source = Lines()
    results = read_json_lines(source, name="x", base=Path("/"))
    assert isinstance(next(results), ParsedListing)
    assert source.lines == 1


# --- CSV

HEADER = "listing_id,photo_id,source,partner,priority,mode,room_types,include_alternates,metadata.city\n"


def test_rows_of_one_listing_become_one_wherever_they_stand(tmp_path: Path) -> None:
    rows = 'L1,a,a.jpg,acme,9,refurnish,Living Room; Kitchen,yes,Bern\nL2,a,a.jpg,,,,,,\n"L1", b ,"b,c.jpg",,,,,no,\n'
    results = list(read_records(write(tmp_path, "x.csv", "\ufeff" + HEADER + rows)))
    assert bad(results) == []
    first, second = listings(results)
    assert (first.listing_id, first.partner, first.priority) == ("L1", "acme", 9)
    assert [photo.photo_id for photo in first.photos] == ["a", "b"]
    assert first.photos[0].request.room_types == ("Living Room", "Kitchen")
    assert first.photos[0].request.include_alternates
    assert first.photos[0].metadata == {"city": "Bern"}
    assert first.photos[1].request.source == (tmp_path / "b,c.jpg").as_uri()
    assert (second.partner, second.priority) == ("default", 0)


def test_a_table_says_the_same_as_json_lines(tmp_path: Path) -> None:
    table = write(tmp_path, "x.csv", "listing_id,photo_id,source,room_types\n1,p,a.jpg,Kitchen\n")
    lines = write(tmp_path, "x.jsonl", line("1", room_types=["Kitchen"]))
    assert listings(read_records(table)) == listings(read_records(lines))


BAD_ROWS = {
    "priority is no number": ("L,b,b.jpg,,high,,,,", "priority: 'high' is no whole number"),
    "alternates is no truth": ("L,b,b.jpg,,,,,perhaps,", "'perhaps' is neither yes nor no"),
    "too many cells": ("L,b,b.jpg,,,,,,,,,", "the row has 12 cells"),
    "no listing": (",b,b.jpg,,,,,,", "listing_id: it is missing"),
    "no source": ("L,b,,,,,,,", "source: it is missing"),
    "another partner": ("L,b,b.jpg,other,,,,,", "'other' here, 'acme' above"),
    "rooms of two families": ("L,b,b.jpg,,,,Kitchen;Toilet,,", "one family"),
    "not UTF-8": ("L,b\udcff,b.jpg,,,,,,", "half a character"),
}


@pytest.mark.parametrize(("row", "says"), BAD_ROWS.values(), ids=BAD_ROWS.keys())
def test_a_bad_row_is_named_and_the_others_go_on(row: str, says: str) -> None:
    text = f"{HEADER}L,a,a.jpg,acme,,,,,\n{row}\nL,c,c.jpg,,,,,,\n"
    data = io.BytesIO(text.encode(errors="surrogateescape"))
    results = list(read_table(data, name="x.csv", base=Path("/")))
    assert [photo.photo_id for photo in listings(results)[0].photos] == ["a", "c"]
    (refusal,) = bad(results)
    assert refusal.startswith("x.csv line 3: ")
    assert says in refusal
    assert refusal.isprintable()


BAD_HEADERS = {
    "": "the column is missing",
    "listing_id,photo_id": "source: the column is missing",
    "listing_id,photo_id,source,style": "did you mean 'style_preset'?",
    "listing_id,photo_id,source,source": "the column is there twice",
    "listing_id,photo_id,source,metadata.": "there is no such column",
    '"listing_id': "the first row can't be read",
}


@pytest.mark.parametrize(("header", "says"), BAD_HEADERS.items())
def test_a_wrong_first_row_refuses_the_table(header: str, says: str) -> None:
    (refusal,) = bad(list(read_table(io.BytesIO(f"{header}\nL,a,a.jpg\n".encode()), name="x.csv", base=Path("/"))))
    assert refusal.startswith("x.csv line 1: ")
    assert says in refusal


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_semicolons_and_tabs_may_separate_cells(delimiter: str) -> None:
    text = delimiter.join(["listing_id", "photo_id", "source"]) + "\n" + delimiter.join(["L", "a", "a.jpg"]) + "\n"
    assert len(listings(list(read_table(io.BytesIO(text.encode()), name="x.csv", base=Path("/"))))) == 1


@given(st.lists(st.text() | st.binary().map(lambda data: data.decode("utf-8", "surrogateescape"))))
def test_no_text_at_all_makes_reading_raise(lines: list[str]) -> None:
    data = "\n".join(lines).encode("utf-8", "surrogatepass" if _halves(lines) else "surrogateescape")
    list(read_json_lines(io.BytesIO(data), name="x", base=None))
    list(read_table(io.BytesIO(data), name="x", base=None))
    list(read_table(io.BytesIO(HEADER.encode() + data), name="x", base=None))


def _halves(lines: list[str]) -> bool:
    return any("\ud800" <= character < "\udc80" or "\udcff" < character <= "\udfff" for character in "".join(lines))


# --- folders


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "Elm Street 7"
    found.mkdir()
    for name, size in {"10 bath.jpg": (40, 30), "9 hall.png": (40, 30), "pano.jpg": (2048, 1024)}.items():
        Image.new("RGB", size).save(found / name)
    write(found, "notes.txt", "no picture")
    write(found, ".hidden.jpg", "")
    return found


def test_a_folders_pictures_are_one_listing_in_peoples_order(folder: Path) -> None:
    (parsed,) = read_records(folder)
    assert isinstance(parsed, ParsedListing)
    assert parsed.listing.listing_id == "Elm Street 7"
    assert [photo.photo_id for photo in parsed.listing.photos] == ["9 hall.png", "10 bath.jpg", "pano.jpg"]
    hall, _, pano = (photo.request for photo in parsed.listing.photos)
    assert hall.source == (folder / "9 hall.png").as_uri()
    assert (hall.capture_type, hall.mode, hall.style_preset) == ("photo", "refurnish", "modern")
    assert (pano.capture_type, pano.mode, pano.style_preset) == ("panorama360", None, "modern")
    assert len(parsed.warnings) == 1
    assert "taken as a panorama" in parsed.warnings[0]


def test_listing_json_says_what_differs(folder: Path) -> None:
    photos = [{"photo_id": "10 bath.jpg", "mode": "clean"}, {"photo_id": "pano.jpg", "capture_type": "photo"}]
    said = {"listing_id": "E7", "priority": 3, "style_preset": "rustic", "photos": photos}
    write(folder, "listing.json", json.dumps(said))
    (parsed,) = read_records(folder, folder=FolderSettings(partner="acme", priority=1))
    assert isinstance(parsed, ParsedListing)
    assert (parsed.listing.listing_id, parsed.listing.partner, parsed.listing.priority) == ("E7", "acme", 3)
    hall, bath, pano = (photo.request for photo in parsed.listing.photos)
    assert (hall.mode, hall.style_preset) == ("refurnish", "rustic")
    assert (bath.mode, bath.style_preset) == ("clean", None)
    assert (pano.capture_type, pano.mode) == ("photo", "refurnish")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "it is not JSON"),
        ("[]", "it is no JSON object"),
        ('{"photos": [{"photo_id": "typo.jpg"}]}', "'typo.jpg' is no picture here"),
        ('{"photos": 5}', "is no picture here"),
        ('{"stile_preset": "x"}', "there is no such field"),
    ],
)
def test_a_wrong_listing_json_is_said_so(folder: Path, text: str, says: str) -> None:
    write(folder, "listing.json", text)
    assert says in "\n".join(bad(read_records(folder)))


def test_a_folder_without_pictures_is_said_so(tmp_path: Path) -> None:
    assert "there are no pictures in it" in bad(read_records(tmp_path))[0]
