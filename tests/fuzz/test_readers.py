"""Records, tables, settings, pictures and ids of any kind: a clear answer, never an exception of another kind."""

from __future__ import annotations

import io
import json
import struct
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from config.settings import Settings, SettingsError, load_settings, variables
from tests.fuzz.conftest import json_values, tried
from worker.cli import app
from worker.core.identity import generation_key, listing_key, photo_key
from worker.gallery.page import GalleryPhoto, build_gallery
from worker.gallery.pictures import scaled_down
from worker.intake.message import read_message
from worker.intake.outcome import BadRecord, ParsedListing
from worker.intake.readers import read_document, read_json_lines
from worker.intake.record import LISTING_FIELDS, PHOTO_FIELDS
from worker.intake.table import read_table
from worker.storage.folder import write_whole
from worker.storage.images import dimensions, is_complete, looks_like, sniff
from worker.storage.names import photo_folder

BASE = Path("/pictures")
#: A record in which any field may be anything.
photos = st.dictionaries(st.sampled_from([*PHOTO_FIELDS, "style", ""]), json_values, max_size=6)
records = st.dictionaries(st.sampled_from([*LISTING_FIELDS, "listing", ""]), json_values, max_size=5).flatmap(
    lambda record: st.one_of(st.just(record), st.lists(photos, max_size=3).map(lambda some: {**record, "photos": some}))
)
good = {"photo_id": "p", "source": "https://cdn.example.com/a.jpg", "mode": "clean"}


def held(results: list[Any]) -> None:
    """Each result is a listing, or says which record, what is wrong and what to do."""
    for one in results:
        assert isinstance(one, ParsedListing | BadRecord)
        if isinstance(one, BadRecord):
            assert one.where
            assert one.problem
            assert one.remedy
            assert len(str(one)) < 3_000
            assert str(one).isprintable()


@tried(60)
@given(st.lists(records | json_values, max_size=3))
def test_records_of_any_kind_are_read_or_refused_by_name(found: list[Any]) -> None:
    lines = b"\n".join(json.dumps(one).encode() for one in found)
    held(list(read_json_lines(io.BytesIO(lines), name="a.jsonl", base=BASE)))
    held(list(read_document(json.dumps(found).encode(), name="a.json", base=None, local_files=False)))
    held(list(read_message(found, name="message", files_below=None)))


@tried(50)
@given(st.dictionaries(st.sampled_from(PHOTO_FIELDS), json_values, max_size=3))
def test_a_bad_photo_takes_no_neighbour_along(found: dict[str, Any]) -> None:
    record = {"listing_id": "l", "photos": [{**good, **found, "photo_id": "other"}, good]}
    results = list(read_message([record], name="message", files_below=None))
    held(results)
    [listing] = [one for one in results if isinstance(one, ParsedListing)]
    assert "p" in [photo.photo_id for photo in listing.listing.photos]


@tried(60)
@given(st.binary(max_size=300) | st.text(alphabet='{}[]",:\\n0truefalsn\ue000"', max_size=60).map(str.encode))
def test_lines_of_any_bytes_are_read_or_refused(data: bytes) -> None:
    held(list(read_json_lines(io.BytesIO(data), name="a.jsonl", base=BASE)))
    held(list(read_document(data, name="a.json", base=BASE)))


@tried(60)
@given(st.binary(max_size=200), st.lists(st.sampled_from([*PHOTO_FIELDS, *LISTING_FIELDS, "metadata.x"]), max_size=7))
def test_tables_of_any_bytes_are_read_or_refused(data: bytes, columns: list[str]) -> None:
    held(list(read_table(io.BytesIO(data), name="a.csv", base=BASE)))
    head = ",".join(["listing_id", "photo_id", "source", *columns]).encode()
    held(list(read_table(io.BytesIO(head + b"\n" + data + b"\nl,p,/a.jpg\n"), name="a.csv", base=BASE)))


@tried(80)
@given(st.dictionaries(st.sampled_from(sorted(variables())), st.text(min_size=1, max_size=40), min_size=1, max_size=3))
def test_settings_of_any_kind_are_taken_or_refused_by_name(given_: dict[str, str]) -> None:
    given_.pop("STAGECREW_ACCOUNTS_FILE", None)
    try:
        assert isinstance(load_settings(given_), Settings)
    except SettingsError as error:
        said = str(error)
    else:
        return
    assert all(line.partition(":")[0] in given_ for line in said.splitlines())
    secret = ("API_KEY", "SECRET", "TOKENS", "MESSAGE_KEY")
    assert not any(value in said for name, value in given_.items() if name.endswith(secret) and len(value) > 12)


@tried(60)
@given(
    st.text(max_size=80) | st.sampled_from(["[accounts", "[accounts.A b]", "[accounts.a]\napi_key = 7", "accounts = 1"])
)
def test_accounts_files_of_any_text_are_refused_by_name(tmp_path_factory: Any, text: str) -> None:
    path = tmp_path_factory.mktemp("accounts") / "accounts.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(SettingsError, match="STAGECREW_ACCOUNTS_FILE: "):
        load_settings({"STAGECREW_ACCOUNTS_FILE": str(path)})


@cache
def pictures() -> dict[str, bytes]:
    found = {}
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "TIFF"):
        out = io.BytesIO()
        Image.new("RGB", (40, 20), (1, 2, 3)).save(out, kind)
        found[kind] = out.getvalue()
    return found


@tried(100)
@given(st.data())
def test_pictures_that_are_cut_or_changed_are_looked_at_without_harm(data: st.DataObject) -> None:
    whole = bytearray(pictures()[data.draw(st.sampled_from(sorted(pictures())))])
    for at in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=4)):
        whole[at] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    kind = sniff(cut)
    size = dimensions(cut)
    assert size is None or all(isinstance(side, int) for side in size)
    assert kind is None or is_complete(cut, kind) in {True, False}
    assert looks_like(cut)
    shown = scaled_down(cut)
    assert shown is None or max(shown.width_px, shown.height_px) <= 1_280


def test_a_picture_that_would_fill_the_memory_is_not_unpacked() -> None:
    """A kilobyte that says that it is 60,000 pixels a side; its rows would be 10 GB."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    rows = chunk(b"IDAT", zlib.compress(bytes(1_000_000)))
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + rows + chunk(b"IEND", b"")
    assert dimensions(bomb) == (60_000, 60_000)
    assert scaled_down(bomb) is None


ids = st.text(min_size=1, max_size=30) | st.sampled_from(
    ["..", ".", "../../etc/passwd", "/etc/passwd", "a/../b", "a\x00b", "{other}", "sc1:{other}:p", "a" * 1_000, "CON",
     "C:\\x", "%2e%2e%2f", "~", "a~b", "A", "a.", "ａ", "\u202egpj", "\ud800", "-", "@account", "manifest.json", "*",
     "<script>"]
)  # fmt: skip


@tried(100)
@given(ids, ids, ids)
def test_no_id_leads_out_of_its_place(listing: str, photo: str, other: str) -> None:
    folder = photo_folder(listing, photo, "f" * 32)
    parts = folder.split("/")
    assert len(parts) == 3
    assert all(part.isascii() and part.isprintable() and part not in {".", ".."} and "\\" not in part for part in parts)
    assert all(0 < len(part) <= 68 for part in parts)
    assert not folder.startswith(("/", "@"))
    if photo != other:
        assert photo_folder(listing, other, "f" * 32).lower() != folder.lower()
        assert photo_key(listing, other) != photo_key(listing, photo)
    assert all(set(key) <= set("0123456789abcdef") for key in (photo_key(listing, photo), listing_key(listing)))
    key = generation_key("default", listing, photo, "f" * 32, 0)
    assert len(key) <= 64
    assert set(key) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")


@tried(30)
@given(ids, ids)
def test_what_is_written_for_any_id_stays_below_the_store(tmp_path_factory: Any, listing: str, photo: str) -> None:
    root = tmp_path_factory.mktemp("store")
    write_whole(root / photo_folder(listing, photo, "f" * 32) / "manifest.json", b"{}")
    [written] = root.rglob("manifest.json")
    assert written.resolve().is_relative_to(root.resolve())


@tried(25)
@given(ids, ids, st.text(max_size=40) | st.just("</p><script>alert(1)</script>"))
def test_no_id_and_no_error_is_markup_in_the_gallery(listing: str, photo: str, error: str) -> None:
    from worker.core.request import canonical_request

    request = canonical_request(source="/a.jpg", mode="<em>", style_preset='"><script>')
    page = build_gallery(
        [GalleryPhoto(listing_id=listing, photo_id=photo, partner=photo, request=request, error=error)], title=photo
    )
    assert page.count("<script") == build_gallery([], title="t").count("<script")
    assert "<em>" not in page


NASTY = {
    "cut.jsonl": b'{"listing_id": "a", "photos": [',
    "bytes.jsonl": b"\xff\xfe\x00" * 50,
    "deep.jsonl": b"[" * 200_000,
    "number.jsonl": b'{"listing_id": ' + b"9" * 5_000 + b"}",
    "null.json": b"null",
    "text.csv": b"\x00\xff,\n",
    "head.csv": b"listing_id,photo_id\na,b\n",
    "quote.csv": b'listing_id,photo_id,source\n"a,b,c\n',
    "empty.jsonl": b"",
}


@pytest.mark.parametrize("name", NASTY)
def test_a_file_that_is_no_records_is_a_clear_line_and_exit_code_for_its_user(
    name: str, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STAGECREW_REDIS_URL", settings.redis_url_text)
    (tmp_path / name).write_bytes(NASTY[name])
    result = CliRunner().invoke(app, ["enqueue", name])
    assert result.exit_code == (0 if name == "empty.jsonl" else 1), result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    assert name == "empty.jsonl" or name in result.output
