"""Only what the API is certain to refuse is refused here."""

from __future__ import annotations

import pytest

from worker.core.request import canonical_request
from worker.katalo.checks import certain_refusal

FINE = [
    {},
    {"mode": "refurnish", "style_preset": "modern", "room_types": ["Living Room", "Kitchen", "Dining Room"]},
    {"mode": "clean"},
    {"mode": "a mode of next year"},
    {"capture_type": "panorama360", "style_preset": "modern"},
    {"capture_type": "panorama360", "workflow": "pro_capture"},
    {"capture_type": "floorplan"},
    {"capture_type": "something new", "mode": "refurnish"},
    {"room_types": ["Bathroom", "Toilet"]},
    {"room_types": ["Kitchen", "Bedroom"]},
    {"room_types": ["kitchen", "bathroom"]},
    {"workflow": "renovation"},
]
REFUSED = [
    ({"capture_type": "panorama360", "mode": "refurnish", "style_preset": "modern"}, "mode"),
    ({"capture_type": "floorplan", "mode": "clean"}, "mode"),
    ({"capture_type": "panorama360"}, "style_preset"),
    ({"room_types": ["Kitchen", "Bathroom"]}, "room_types"),
    ({"room_types": ["Office", "Living Room", "Shower"]}, "room_types"),
]


@pytest.mark.parametrize("settings", FINE)
def test_what_might_be_accepted_goes_to_the_api(settings: dict[str, object]) -> None:
    rooms = tuple(settings.get("room_types", ()))
    assert certain_refusal(canonical_request(source="a.jpg", **{**settings, "room_types": rooms})) is None


@pytest.mark.parametrize(("settings", "field"), REFUSED)
def test_what_is_certain_to_be_refused_is_refused_with_a_remedy(settings: dict[str, object], field: str) -> None:
    rooms = tuple(settings.get("room_types", ()))
    found = certain_refusal(canonical_request(source="a.jpg", **{**settings, "room_types": rooms}))
    assert found is not None
    assert found[0] == field
    assert all(found)
