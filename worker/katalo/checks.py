"""What is certain to be refused by the API is refused before any call; all else is left to the API's own message.

The whole list is the contract's section 12, point 7 (exactly one source is given by how we build a request).
"""

from __future__ import annotations

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
    if request.mode is not None and request.capture_type in _DERIVED_MODE:
        problem = f"mode {request.mode!r} is not allowed with capture_type {request.capture_type!r}"
        return ("mode", problem, "leave mode out: the API derives it")
    # For `pro_capture` the need of a style is inferred only, so it is left to the API.
    if request.workflow == "staging" and request.capture_type == "panorama360" and request.style_preset is None:
        return ("style_preset", "a panorama needs a style_preset", 'give one, for example "modern"')
    if sum(not family.isdisjoint(request.room_types) for family in ROOM_FAMILIES) > 1:
        shown = ", ".join(request.room_types)
        return ("room_types", f"rooms of two families ({shown}) in one photo", "name rooms of one family only")
    return None
