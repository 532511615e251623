"""What a record may say, what it may not, and what the user is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.photo import NewListing
from worker.core.request import Request
from worker.intake.addresses import BadSource, canonical_source
from worker.intake.outcome import BadRecord, ParsedListing
from worker.intake.record import parse_listing

BASE = Path("/photos")
GOOD = {"photo_id": "p", "source": "https://cdn.example.com/a.jpg", "mode": "refurnish", "style_preset": "modern"}
PANORAMA = {"photo_id": "p", "source": "a.jpg", "capture_type": "panorama360"}


def parse(record: object) -> tuple[NewListing | None, list[BadRecord], tuple[str, ...]]:
    results = parse_listing(record, where="x.jsonl line 3", base=BASE)
    parsed = [result for result in results if isinstance(result, ParsedListing)]
    bad = [result for result in results if isinstance(result, BadRecord)]
    return (parsed[0].listing if parsed else None), bad, (parsed[0].warnings if parsed else ())


def listing(**photo: object) -> dict[str, object]:
    return {"listing_id": "L", "photos": [{**GOOD, **photo}]}


def without(name: str) -> dict[str, object]:
    return {"listing_id": "L", "photos": [{key: value for key, value in GOOD.items() if key != name}]}


BAD = {
    "not an object": (["L"], "", "write an object"),
    "no listing_id": ({"photos": [GOOD]}, "listing_id", "missing"),
    "no photos": ({"listing_id": "L"}, "photos", "missing"),
    "empty photos": ({"listing_id": "L", "photos": []}, "photos", "at least one photo"),
    "photos is an object": ({"listing_id": "L", "photos": GOOD}, "photos", "an object is not right"),
    "photo is text": ({"listing_id": "L", "photos": ["a.jpg"]}, "photos", "write an object"),
    "no source": (without("source"), "source", "missing"),
    "no photo_id": (without("photo_id"), "photo_id", "missing"),
    "listing_id is a number": ({"listing_id": 5, "photos": [GOOD]}, "listing_id", "write it as text in quotes"),
    "listing_id is empty": ({"listing_id": "", "photos": [GOOD]}, "listing_id", "empty"),
    "listing_id is blank": ({"listing_id": "  ", "photos": [GOOD]}, "listing_id", "empty"),
    "listing_id has a newline": ({"listing_id": "a\nb", "photos": [GOOD]}, "listing_id", "U+000A"),
    "listing_id is too long": ({"listing_id": "x" * 1001, "photos": [GOOD]}, "listing_id", "1,001 characters"),
    "photo_id is empty": (listing(photo_id=""), "photo_id", "empty"),
    "photo_id has a control character": (listing(photo_id="a\x7f"), "photo_id", "U+007F"),
    "photo_id has a lone surrogate": (listing(photo_id="a\ud800"), "photo_id", "half a character"),
    "priority is text": ({"listing_id": "L", "priority": "9", "photos": [GOOD]}, "priority", "without quotes"),
    "priority is true": ({"listing_id": "L", "priority": True, "photos": [GOOD]}, "priority", "whole number"),
    "priority is ten": ({"listing_id": "L", "priority": 10, "photos": [GOOD]}, "priority", "0 to 9"),
    "account breaks a key": ({"listing_id": "L", "account": "a}b", "photos": [GOOD]}, "account", "letters, digits"),
    "metadata is nested": (listing(metadata={"a": {"b": 1}}), "metadata", "'a' is an object"),
    "metadata is no number": (listing(metadata={"a": float("nan")}), "metadata", "'a' is nan"),
    "metadata is a list": (listing(metadata=["a"]), "metadata", '{"key": "text"}'),
    "a misspelt photo field": (listing(style="modern"), "style", "did you mean 'style_preset'?"),
    "a field of nobody's": (listing(zzz=1), "zzz", "the known ones are photo_id"),
    "a misspelt listing field": ({"listing_id": "L", "foto": 1, "photos": [GOOD]}, "foto", "'photos'?"),
    "a misspelt source": ({"listing_id": "L", "photos": [{"photo_id": "p", "sorce": "a"}]}, "sorce", "'source'?"),
    "room_types is text": (listing(room_types="Kitchen"), "room_types", 'write ["Kitchen"]'),
    "alternates is text": (listing(include_alternates="yes"), "include_alternates", "true or false"),
    "mode on a panorama": (listing(capture_type="panorama360"), "mode", "leave mode out"),
    "mode on a panorama by its alias": (listing(capture_type="panorama"), "mode", "leave mode out"),
    "mode on a floorplan": (listing(capture_type="floorplan"), "mode", "leave mode out"),
    "panorama without style": ({"listing_id": "L", "photos": [PANORAMA]}, "style_preset", "needs a style_preset"),
    "rooms of two families": (listing(room_types=["Kitchen", "Bathroom"]), "room_types", "one family"),
    "ftp": (listing(source="ftp://a/b.jpg"), "source", "from ftp:"),
    "a picture inside the record": (listing(source="data:image/png;base64,AAAA"), "source", "from data:"),
    "an address without a host": (listing(source="https:///a.jpg"), "source", "names no host"),
    "a broken address": (listing(source="https://[::1/a.jpg"), "source", "can't be read"),
    "a bucket alone": (listing(source="s3://bucket"), "source", "s3://bucket/key"),
    "a file of another host": (listing(source="file://nas/a.jpg"), "source", "three slashes"),
    "a control character in a source": (listing(source="a\x00.jpg"), "source", "U+0000"),
}


@pytest.mark.parametrize(("record", "field", "says"), BAD.values(), ids=BAD.keys())
def test_a_bad_record_is_refused_with_its_field_and_the_remedy(record: object, field: str, says: str) -> None:
    accepted, bad, _ = parse(record)
    assert accepted is None
    assert [refusal.field for refusal in bad] == [field]
    line = str(bad[0])
    assert line.startswith("x.jsonl line 3")
    assert says in line
    assert line.isprintable()


LEGAL_IDS = ["a b", "a/b", "a.b", "..", "straße 12 — №4", "部屋", "👩‍👩‍👧", "x" * 1000, "a-b", "'\"<>", "a\u2028b"]


@pytest.mark.parametrize("name", LEGAL_IDS)
def test_ids_may_have_any_characters_but_control_characters(name: str) -> None:
    accepted, bad, _ = parse({"listing_id": name, "photos": [{**GOOD, "photo_id": name}]})
    assert not bad
    assert accepted is not None
    assert (accepted.listing_id, accepted.photos[0].photo_id) == (name, name)


def test_a_record_of_the_least_fields_has_the_defaults() -> None:
    accepted, _, warnings = parse({"listing_id": "L", "photos": [{"photo_id": "p", "source": "a.jpg"}]})
    assert accepted is not None
    assert (accepted.partner, accepted.priority, accepted.account, accepted.metadata) == ("default", 0, "default", {})
    assert accepted.photos[0].request == Request(source="file:///photos/a.jpg")
    assert warnings == ()


def test_null_and_empty_text_are_the_same_as_not_given() -> None:
    said = parse(listing(style_preset=None, mode="", room_types=None, metadata=None))[0]
    unsaid = parse({"listing_id": "L", "photos": [{"photo_id": "p", "source": GOOD["source"]}]})[0]
    assert said == unsaid


def test_rooms_and_style_of_a_cleaned_photo_are_left_out_with_a_warning() -> None:
    """Whether the API refuses or ignores them is not known: leaving them out is right either way."""
    accepted, bad, warnings = parse(listing(mode="clean", room_types=["Kitchen", "Bathroom"]))
    assert not bad
    assert accepted is not None
    assert accepted.photos[0].request == Request(source=str(GOOD["source"]), mode="clean")
    assert "room_types and style_preset left out" in warnings[0]


def test_a_bad_photo_does_not_take_its_neighbours_along() -> None:
    photos = [{**GOOD, "photo_id": "1"}, {"photo_id": "2"}, "3", {**GOOD, "photo_id": "4"}]
    accepted, bad, _ = parse({"listing_id": "L", "photos": photos})
    assert accepted is not None
    assert [photo.photo_id for photo in accepted.photos] == ["1", "4"]
    assert [(refusal.where, refusal.photo_id, refusal.field) for refusal in bad] == [
        ("x.jsonl line 3, photo 2", "2", "source"),
        ("x.jsonl line 3, photo 3", None, "photos"),
    ]
    assert str(bad[0]) == "x.jsonl line 3, photo 2: listing 'L', photo '2': source: it is missing; add it"


def test_of_two_photos_with_one_id_the_first_goes_on() -> None:
    accepted, bad, _ = parse({"listing_id": "L", "photos": [GOOD, {**GOOD, "style_preset": "rustic"}]})
    assert accepted is not None
    assert [photo.request.style_preset for photo in accepted.photos] == ["modern"]
    assert "already in this listing" in str(bad[0])


def test_metadata_becomes_text() -> None:
    accepted, _, _ = parse(listing(metadata={"a": "x", "b": 5, "c": 1.5, "d": True, "e": None, "f": ""}))
    assert accepted is not None
    assert accepted.photos[0].metadata == {"a": "x", "b": "5", "c": "1.5", "d": "true", "f": ""}


@pytest.mark.parametrize(
    ("field", "value", "near"),
    [
        ("capture_type", "Photo", "photo"),
        ("capture_type", "panorama_360", "panorama360"),
        ("workflow", "procapture", "pro_capture"),
        ("mode", "refurnsh", "refurnish"),
        ("room_types", ["living room"], "Living Room"),
    ],
)
def test_a_value_that_looks_like_a_typo_is_sent_and_warned_about(field: str, value: object, near: str) -> None:
    accepted, bad, warnings = parse(listing(**{field: value}))
    assert not bad
    assert accepted is not None
    assert f"did you mean '{near}'?" in warnings[0]


def test_values_that_the_contract_does_not_name_go_through() -> None:
    accepted, bad, warnings = parse(listing(workflow="renovation", mode="furnish", room_types=["Bedroom"]))
    assert accepted is not None
    assert (bad, warnings) == ([], ())


def test_no_message_has_the_query_of_a_signed_address() -> None:
    accepted, bad, warnings = parse(listing(source="https:///a.jpg?X-Amz-Signature=SECRET", mode="refurnsh"))
    assert accepted is None
    assert "SECRET" not in str(bad) + str(warnings)


@pytest.mark.parametrize(
    ("given_source", "canonical"),
    [
        ("https://cdn.example.com/a b.jpg?sig=%2F", "https://cdn.example.com/a b.jpg?sig=%2F"),
        ("http://127.0.0.1/a.jpg", "http://127.0.0.1/a.jpg"),
        ("s3://bucket/a/b.jpg", "s3://bucket/a/b.jpg"),
        ("a.jpg", "file:///photos/a.jpg"),
        ("./x/../a.jpg", "file:///photos/a.jpg"),
        ("/photos/a.jpg", "file:///photos/a.jpg"),
        ("file:///photos/a.jpg", "file:///photos/a.jpg"),
        ("FILE://localhost/photos/a.jpg", "file:///photos/a.jpg"),
        ("100%.jpg", "file:///photos/100%25.jpg"),
        ("a#b?c.jpg", "file:///photos/a%23b%3Fc.jpg"),
        ("file:///photos/a%20b.jpg", "file:///photos/a%20b.jpg"),
        ("file:///photos/a b.jpg", "file:///photos/a%20b.jpg"),
    ],
)
def test_one_source_has_one_form(given_source: str, canonical: str) -> None:
    assert canonical_source(given_source, base=BASE) == canonical
    assert canonical_source(canonical, base=BASE) == canonical


def test_records_from_over_the_network_name_no_files() -> None:
    for source in ("/etc/passwd", "file:///etc/passwd", "a.jpg"):
        with pytest.raises(BadSource, match="can't be named here"):
            canonical_source(source, base=BASE, local_files=False)


def test_a_relative_path_needs_a_folder() -> None:
    with pytest.raises(BadSource, match="is relative"):
        canonical_source("a.jpg", base=None)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_NAMES = st.sampled_from(["photo_id", "source", "capture_type", "mode", "room_types", "metadata", "workflow", "x"])


@given(
    st.fixed_dictionaries(
        {"listing_id": _VALUES, "photos": _VALUES | st.lists(st.dictionaries(_NAMES, _VALUES), max_size=3)},
        optional={"priority": _VALUES, "metadata": _VALUES, "partner": _VALUES, "account": _VALUES},
    )
    | _VALUES
)
def test_no_value_at_all_raises_and_every_refusal_is_one_line(record: object) -> None:
    for result in parse_listing(record, where="w", base=BASE):
        if isinstance(result, BadRecord):
            assert str(result).isprintable()
        else:
            json.dumps([photo.request.canonical_json() for photo in result.listing.photos]).encode()
