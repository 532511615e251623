"""Which settings go together: the contract's validation matrix, with lists of the sandbox's own where it has none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

WORKFLOWS: Final = ("staging", "pro_capture")
CAPTURE_TYPES: Final = ("photo", "panorama360", "floorplan")
MODES: Final = ("refurnish", "furnish", "clean")
STYLES: Final = (
    "modern",
    "scandinavian",
    "contemporary",
    "traditional",
    "industrial",
    "coastal",
    "minimalist",
    "rustic",
)
FAMILIES: Final = (
    frozenset({"Living Room", "Kitchen", "Dining Room"}),
    frozenset({"Bathroom", "Shower", "Toilet"}),
)
ROOMS: Final = (
    "Living Room", "Kitchen", "Dining Room", "Bathroom", "Shower", "Toilet", "Bedroom", "Kids Room", "Office",
    "Hallway", "Balcony", "Laundry Room", "Garage",
)  # fmt: skip
FIELDS: Final = frozenset(
    {
        "source_asset_id", "source_url", "workflow", "capture_type", "mode", "room_types", "style_preset",
        "include_alternates", "reference", "metadata", "webhook",
    }
)  # fmt: skip


def refusal(body: Mapping[str, Any]) -> str | None:  # noqa: C901, PLR0911, PLR0912 - one rule a line
    """Return why a create is refused with 422, naming the field; None when it is fine."""
    workflow, capture, mode = body.get("workflow"), body.get("capture_type"), body.get("mode")
    rooms, style = body.get("room_types"), body.get("style_preset")
    if unknown := set(body) - FIELDS:
        return f"unknown field {min(unknown)}"
    if workflow not in WORKFLOWS:
        return f"workflow must be one of {', '.join(WORKFLOWS)}"
    if capture not in CAPTURE_TYPES:
        return f"capture_type must be one of {', '.join(CAPTURE_TYPES)}"
    if workflow == "staging" and capture == "photo":
        if mode not in MODES:
            return f"mode is required for staging a photo: one of {', '.join(MODES)}"
    elif mode is not None:
        return f"mode is not allowed for {workflow} with {capture}"
    if workflow == "staging" and capture == "panorama360" and style is None:
        return "style_preset is required for a panorama"
    if style is not None and style not in STYLES:
        return f"style_preset {style!r} is not known"
    if rooms is not None:
        if not isinstance(rooms, list) or not all(isinstance(room, str) for room in rooms):
            return "room_types must be an array of names"
        if strange := [room for room in rooms if room not in ROOMS]:
            return f"room_types: {strange[0]!r} is not known"
        if len(rooms) > 1 and not any(set(rooms) <= family for family in FAMILIES):
            return "room_types: several rooms must be of one family"
    if not isinstance(body.get("include_alternates", False), bool):
        return "include_alternates must be true or false"
    metadata = body.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        return "metadata must be an object"
    reference = body.get("reference")
    if reference is not None and (not isinstance(reference, str) or len(reference) > 64):  # noqa: PLR2004
        return "reference must be a text of at most 64 characters"
    return None
