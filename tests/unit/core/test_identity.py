"""Names derived from a listing are stable, injective and within the API's bounds, whatever is in the ids."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from worker.core.identity import (
    event_id,
    fingerprint,
    generation_key,
    photo_key,
    reference,
    regenerate_key,
    source_key,
)
from worker.core.request import Request, canonical_request

ids = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60)
ALLOWED = re.compile(r"[A-Za-z0-9._-]{1,64}")


@given(ids, ids, ids, ids)
def test_two_photos_never_share_a_key(listing: str, photo: str, other_listing: str, other_photo: str) -> None:
    same = (listing, photo) == (other_listing, other_photo)
    assert (photo_key(listing, photo) == photo_key(other_listing, other_photo)) == same


def test_the_pair_of_ids_is_unambiguous() -> None:
    assert photo_key("a-b", "c") != photo_key("a", "b-c")
    assert generation_key("default", "a-b", "c", "f") != generation_key("default", "a", "b-c", "f")
    assert photo_key('a","b', "c") != photo_key("a", 'b","c')


@given(ids, ids, st.integers(0, 10_000))
def test_keys_fit_the_headers_alphabet_and_length(listing: str, photo: str, tries: int) -> None:
    for key in (
        source_key("default", listing, photo, "sha", tries),
        generation_key("default", listing, photo, "f" * 32, tries),
        regenerate_key("default", listing, photo, "f" * 32, regeneration=tries, create_try=tries),
    ):
        assert ALLOWED.fullmatch(key), key
        assert reference(key) == key


@given(ids, ids)
def test_keys_of_routes_accounts_and_tries_differ(listing: str, photo: str) -> None:
    made = {
        source_key("default", listing, photo, "x"),
        source_key("other", listing, photo, "x"),
        source_key("default", listing, photo, "y"),
        source_key("default", listing, photo, "x", 1),
        generation_key("default", listing, photo, "x"),
        generation_key("default", listing, photo, "x", 1),
        regenerate_key("default", listing, photo, "x", regeneration=1),
        regenerate_key("default", listing, photo, "x", regeneration=11),
        regenerate_key("default", listing, photo, "x", regeneration=1, create_try=1),
        regenerate_key("other", listing, photo, "x", regeneration=1),
    }
    assert len(made) == 10


def test_the_number_of_a_regeneration_can_be_read_in_its_key() -> None:
    key = regenerate_key("default", "listing-1234567890", "photo-1234567890", "f" * 32, regeneration=12)
    assert re.fullmatch(r"regenerate-listing_12-photo_1234-[a-z2-7]{26}-r12", key), key


def test_names_are_frozen() -> None:
    """A release that named a photo otherwise would stage it, and pay for it, again."""
    request = canonical_request(source="https://cdn.example.com/a.jpg", mode="refurnish", style_preset="modern")
    assert request.canonical_json() == (
        '{"capture_type":"photo","mode":"refurnish","source":"https://cdn.example.com/a.jpg",'
        '"style_preset":"modern","workflow":"staging"}'
    )
    assert photo_key("listing-123", "lr-1") == "d2031239aec363b3d8a0810f0dc6bbb2"
    assert fingerprint(request) == "b9e67d8904382bd37b914d530b89b9af"
    assert (
        generation_key("default", "listing-123", "lr-1", fingerprint(request))
        == "generation-listing_123-lr_1-74zm6iurjyz7t56q77x2feawgx"
    )


requests = st.builds(
    Request,
    source=st.text(max_size=20),
    workflow=st.sampled_from(["staging", "pro_capture"]),
    capture_type=st.sampled_from(["photo", "panorama360"]),
    mode=st.none() | st.sampled_from(["refurnish", "clean"]),
    room_types=st.lists(st.text(max_size=8), max_size=3).map(tuple),
    style_preset=st.none() | st.text(min_size=1, max_size=8),
    include_alternates=st.booleans(),
)


@given(requests)
def test_a_request_survives_its_canonical_form(request: Request) -> None:
    assert Request.from_json(request.canonical_json()) == request


@given(requests, requests)
def test_requests_share_a_fingerprint_only_when_they_are_the_same(one: Request, other: Request) -> None:
    assert (fingerprint(one) == fingerprint(other)) == (one == other)


def test_the_alias_of_panoramas_and_what_clean_does_not_take() -> None:
    assert canonical_request(source="a", capture_type="panorama").capture_type == "panorama360"
    bare = canonical_request(source="a", mode="clean", room_types=("Kitchen",), style_preset="modern")
    assert bare == canonical_request(source="a", mode="clean")


@given(ids, ids)
def test_events_of_other_news_have_other_ids(listing: str, photo: str) -> None:
    assert event_id("a", "default", listing, photo) == event_id("a", "default", listing, photo)
    assert event_id("a", "default", listing, photo) != event_id("b", "default", listing, photo)
