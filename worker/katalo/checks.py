"""What is certain to be refused by the API is refused before any call; all else is left to the API's own message.

The whole list is the contract's section 12, point 7 (exactly one source is given by how we build a request).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from worker.core.request import Request

#: Rooms of one photo must be of one family (contract, section 1.3). Names outside of them stand alone or are unknown.
ROOM_FAMILIES: Final[tuple[frozenset[str], ...]] = (
    frozenset({"Living Room", "Kitchen", "Dining Room"}),
    frozenset({"Bathroom", "Shower", "Toilet"}),
)
#: With these the API derives the mode, and refuses one that is sent.
_DERIVED_MODE: Final = frozenset({"panorama360", "floorplan"})


def certain_refusal(request: Request) -> tuple[str, str, str] | None:
    """Return the field, the problem and the remedy of a request that is certain to be refused; None otherwise."""
    return _refusal(
        workflow=request.workflow,
        capture_type=request.capture_type,
        mode=request.mode,
        style_preset=request.style_preset,
        rooms=request.room_types,
    )


def refusal_before_call(request: Mapping[str, object]) -> str | None:
    """Return why the body of a create is certain to be refused, and what to do, as one sentence; None otherwise."""
    rooms = request.get("room_types")
    found = _refusal(
        workflow=request.get("workflow") or "staging",
        capture_type=request.get("capture_type") or "photo",
        mode=request.get("mode") or None,
        style_preset=request.get("style_preset") or None,
        rooms=[room for room in rooms if isinstance(room, str)] if isinstance(rooms, list | tuple) else (),
    )
    return None if found is None else f"{found[1]}; {found[2]}"


def _refusal(
    *, workflow: object, capture_type: object, mode: object, style_preset: object, rooms: Collection[str]
) -> tuple[str, str, str] | None:
    if mode is not None and isinstance(capture_type, str) and capture_type in _DERIVED_MODE:
        problem = f"mode {mode!r} is not allowed with capture_type {capture_type!r}"
        return ("mode", problem, "leave mode out: the API derives it")
    # For `pro_capture` the need of a style is inferred only, so it is left to the API.
    if workflow == "staging" and capture_type == "panorama360" and style_preset is None:
        return ("style_preset", "a panorama needs a style_preset", 'give one, for example "modern"')
    if sum(not family.isdisjoint(rooms) for family in ROOM_FAMILIES) > 1:
        shown = ", ".join(rooms)
        return ("room_types", f"rooms of two families ({shown}) in one photo", "name rooms of one family only")
    return None
