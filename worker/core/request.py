"""What the user wants made of one photo, in one canonical form.

Two requests that the API would treat alike have one canonical form, so they have one fingerprint and cost one job.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

#: Older prose of the API says `panorama`; the description says `panorama360` (contract, section 12, point 1).
CAPTURE_TYPE_ALIASES: Final[Mapping[str, str]] = {"panorama": "panorama360"}
#: `clean` takes neither rooms nor style: "not required" is all the contract says, so both are left out (point 4).
MODES_WITHOUT_STYLE: Final = frozenset({"clean"})

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One photo's request: its source and the settings of its job, as far as the user gave them."""

    source: str
    workflow: str = "staging"
    capture_type: str = "photo"
    mode: str | None = None
    room_types: tuple[str, ...] = ()
    style_preset: str | None = None
    include_alternates: bool = False

    def canonical_json(self) -> str:
        """Return the canonical JSON text: sorted keys, no spaces, nothing that was not asked for."""
        asked = {
            "source": self.source,
            "workflow": self.workflow,
            "capture_type": self.capture_type,
            "mode": self.mode,
            "room_types": self.room_types,
            "style_preset": self.style_preset,
            "include_alternates": self.include_alternates,
        }
        return dumps({name: value for name, value in asked.items() if value is not None and value not in ((), False)})

    @classmethod
    def from_json(cls, text: str) -> Request:
        """Return the request that `canonical_json` wrote; fields of a newer release are ignored."""
        fields = {name: value for name, value in json.loads(text).items() if name in cls.__slots__}
        fields["room_types"] = tuple(fields.get("room_types", ()))
        return cls(**fields)

    @property
    def kind(self) -> str:
        """The kind of job whose durations are learnt together."""
        return f"{self.workflow}:{self.capture_type}"

    def job_settings(self) -> dict[str, Any]:
        """Return the settings as the body of `POST /generations` names them."""
        settings: dict[str, Any] = {"workflow": self.workflow, "capture_type": self.capture_type}
        if self.mode is not None:
            settings["mode"] = self.mode
        if self.room_types:
            settings["room_types"] = list(self.room_types)
        if self.style_preset is not None:
            settings["style_preset"] = self.style_preset
        if self.include_alternates:
            settings["include_alternates"] = True
        return settings


def canonical_request(
    *,
    source: str,
    workflow: str = "staging",
    capture_type: str = "photo",
    mode: str | None = None,
    room_types: tuple[str, ...] = (),
    style_preset: str | None = None,
    include_alternates: bool = False,
) -> Request:
    """Return the canonical form of what a record asks for: aliases resolved, fields that say nothing left out."""
    bare = mode in MODES_WITHOUT_STYLE
    return Request(
        source=source,
        workflow=workflow,
        capture_type=CAPTURE_TYPE_ALIASES.get(capture_type, capture_type),
        mode=mode or None,
        room_types=() if bare else room_types,
        style_preset=None if bare else (style_preset or None),
        include_alternates=include_alternates,
    )


def dumps(value: object) -> str:
    """Return canonical JSON: sorted keys, no spaces, ASCII. The same value gives the same bytes everywhere."""
    return _encode(value)
