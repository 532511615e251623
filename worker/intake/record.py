"""A record as a user writes it, checked, in the ledger's own form; what is certain to be refused costs nothing.

Guarantees: any value that JSON can say gives results, never an exception; one bad photo never takes its neighbours
along; an unknown field is refused by name with the nearest known one, because a typo such as `style` would otherwise
be paid for as a photo without it. What the API might accept is never refused: values that look like typos are warned
about. A field that is null or an empty text counts as not given.
"""

from __future__ import annotations

import difflib
import math
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from config.accounts import DEFAULT
from worker.core.photo import NewListing, NewPhoto
from worker.core.request import CAPTURE_TYPE_ALIASES, MODES_WITHOUT_STYLE, Request, canonical_request
from worker.intake.addresses import BadSource, LocalFiles, canonical_source
from worker.intake.outcome import BadRecord, ParsedListing, Result, shorten, shown
from worker.katalo.checks import ROOM_FAMILIES, certain_refusal

__all__ = ["LISTING_FIELDS", "PHOTO_FIELDS", "ListingRecord", "PhotoRecord", "nearest", "parse_listing", "shorten"]

MAX_ID_CHARACTERS: Final = 1_000
#: Values that the contract names (section 1.3); others go through, and one that is close to these is warned about.
_KNOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "workflow": ("staging", "pro_capture"),
    "capture_type": ("photo", "panorama360", "floorplan"),
    "mode": ("refurnish", "clean"),
    "room_types": tuple(sorted(frozenset[str]().union(*ROOM_FAMILIES))),
}
#: Comparing is quadratic, and no known name is as long as this; it also bounds field names in messages.
SHORT: Final = 40
_REMEDIES: Final[Mapping[str, str]] = {
    "missing": "add it",
    "string_type": "write it as text in quotes",
    "bool_type": "write true or false",
    "int_type": "write a whole number without quotes",
    "greater_than_equal": "priorities go from 0 to 9, 9 first",
    "less_than_equal": "priorities go from 0 to 9, 9 first",
    "dict_type": 'write an object like {"key": "text"}',
    "model_type": "write an object with its fields",
    "list_type": 'write a list like ["..."]',
    "too_short": "give at least one photo",
}


def _problem(problem: str, remedy: str) -> PydanticCustomError:
    return PydanticCustomError("stagecrew", "{problem}", {"problem": problem, "remedy": remedy})


def _clean(text: str) -> str:
    for character in text:
        category = unicodedata.category(character)
        if category in {"Cc", "Cs"}:
            what = "a control character" if category == "Cc" else "half a character"
            raise _problem(f"{shown(text)} has {what} (U+{ord(character):04X})", "remove it")
    return text


def _identifier(text: str) -> str:
    if not text.strip():
        raise _problem("it is empty", "give a name that stays the same whenever the record is sent again")
    if len(text) > MAX_ID_CHARACTERS:
        raise _problem(f"it has {len(text):,} characters", f"use at most {MAX_ID_CHARACTERS:,}")
    return _clean(text)


def _account(text: str) -> str:
    if not text.isascii() or text.strip("{}") != text or not text.replace("-", "").replace("_", "").isalnum():
        raise _problem(f"{shown(text)} can't be an account", "use letters, digits, - and _")
    return text


def _metadata(value: object) -> object:
    if not isinstance(value, Mapping):
        return value
    texts = {}
    for key, item in value.items():
        if item is None:
            continue
        if not isinstance(item, str | int | float) or (isinstance(item, float) and not math.isfinite(item)):
            raise _problem(f"{shown(key)} is {_kind(item)}", "values are text, numbers, true or false")
        if not _is_encodable(key) or not _is_encodable(item):
            raise _problem(f"{shown(key)} has half a character", "remove it")
        texts[key] = str(item).lower() if isinstance(item, bool) else str(item)
    return texts


def _is_encodable(value: object) -> bool:
    return not (isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value))


def _kind(value: object) -> str:
    return {dict: "an object", list: "a list", type(None): "null"}.get(type(value), repr(value))


_Text = Annotated[str, AfterValidator(_clean)]
_Id = Annotated[str, AfterValidator(_identifier)]
_Metadata = Annotated[dict[str, str], BeforeValidator(_metadata)]


class PhotoRecord(BaseModel):
    """One photo of a record; the columns of a CSV file have the same names."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    photo_id: _Id
    source: _Text
    capture_type: _Text = "photo"
    workflow: _Text = "staging"
    mode: _Text | None = None
    room_types: Annotated[list[_Id], Field(default_factory=list)]
    style_preset: _Text | None = None
    include_alternates: bool = False
    metadata: Annotated[_Metadata, Field(default_factory=dict)]


class ListingRecord(BaseModel):
    """One record; its photos are checked one by one, each on its own."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    listing_id: _Id
    photos: Annotated[list[Any], Field(min_length=1)]
    partner: _Id = "default"
    priority: Annotated[int, Field(ge=0, le=9)] = 0
    account: Annotated[str, AfterValidator(_account)] | None = None
    metadata: Annotated[_Metadata, Field(default_factory=dict)]


LISTING_FIELDS: Final = tuple(ListingRecord.model_fields)
PHOTO_FIELDS: Final = tuple(PhotoRecord.model_fields)


def parse_listing(
    record: object,
    *,
    where: str,
    base: Path | None = None,
    local_files: LocalFiles = True,
    places: Iterable[str] | None = None,
) -> list[Result]:
    """Return the listing of `record` with all its good photos, if it has any, and a BadRecord for each bad one.

    `where` names the record for messages; `places` name each photo (as a row of a table is), else they are counted.
    `base` and `local_files` are those of `canonical_source`. Never raises, whatever `record` is.
    """
    if not isinstance(record, Mapping):
        remedy = 'write an object like {"listing_id": "...", "photos": [...]}'
        return [BadRecord(where=where, field="", problem=f"the record is {_kind(record)}", remedy=remedy)]
    try:
        listing = ListingRecord.model_validate(_given(record))
    except ValidationError as error:
        return [_refused(error, where=where, listing_id=_text(record.get("listing_id")), known=LISTING_FIELDS)]
    named = list(places) if places is not None else [f"{where}, photo {n + 1}" for n in range(len(listing.photos))]
    bad: list[Result] = []
    photos: dict[str, NewPhoto] = {}
    warnings: list[str] = []
    for place, raw in zip(named, listing.photos, strict=True):
        photo = _photo(raw, place, listing.listing_id, base=base, local_files=local_files, warnings=warnings)
        if isinstance(photo, BadRecord):
            bad.append(photo)
        elif photo.photo_id in photos:
            name = photo.photo_id
            remedy = "give each photo of a listing its own photo_id (the first one goes on)"
            problem = f"{shown(name)} is already in this listing"
            bad.append(_bad_photo(place, listing.listing_id, name, ("photo_id", problem, remedy)))
        else:
            photos[photo.photo_id] = photo
    if not photos:
        return bad
    new = NewListing(
        listing_id=listing.listing_id,
        photos=tuple(photos.values()),
        partner=listing.partner,
        priority=listing.priority,
        account=listing.account or DEFAULT,
        metadata=listing.metadata,
    )
    return [ParsedListing(listing=new, warnings=tuple(warnings), where=where, account=listing.account), *bad]


def _photo(
    raw: object, where: str, listing_id: str, *, base: Path | None, local_files: LocalFiles, warnings: list[str]
) -> NewPhoto | BadRecord:
    if not isinstance(raw, Mapping):
        remedy = 'write an object like {"photo_id": "...", "source": "..."}'
        return _bad_photo(where, listing_id, None, ("photos", f"the photo is {_kind(raw)}", remedy))
    try:
        record = PhotoRecord.model_validate(_given(raw))
    except ValidationError as error:
        photo_id = _text(raw.get("photo_id"))
        return _refused(error, where=where, listing_id=listing_id, photo_id=photo_id, known=PHOTO_FIELDS)
    try:
        source = canonical_source(record.source, base=base, local_files=local_files)
    except BadSource as error:
        refusal: tuple[str, str, str] | None = ("source", error.problem, error.remedy)
    else:
        request = _request(record, source)
        refusal = certain_refusal(request)
    if refusal is not None:
        return _bad_photo(where, listing_id, record.photo_id, refusal)
    subject = f"{where}: listing {shown(listing_id)}, photo {shown(record.photo_id)}: "
    warnings.extend(subject + line for line in _doubts(record))
    return NewPhoto(photo_id=record.photo_id, request=request, metadata=record.metadata)


def _bad_photo(where: str, listing_id: str, photo_id: str | None, refusal: tuple[str, str, str]) -> BadRecord:
    field, problem, remedy = refusal
    return BadRecord(where=where, listing_id=listing_id, photo_id=photo_id, field=field, problem=problem, remedy=remedy)


def _request(record: PhotoRecord, source: str) -> Request:
    return canonical_request(
        source=source,
        workflow=record.workflow,
        capture_type=record.capture_type,
        mode=record.mode,
        room_types=tuple(record.room_types),
        style_preset=record.style_preset,
        include_alternates=record.include_alternates,
    )


def _doubts(record: PhotoRecord) -> list[str]:
    lines = []
    if record.mode in MODES_WITHOUT_STYLE:
        left_out = [name for name in ("room_types", "style_preset") if getattr(record, name)]
        if left_out:
            lines.append(f"{' and '.join(left_out)} left out: mode {shown(record.mode)} needs none")
    for field, known in _KNOWN.items():
        given = getattr(record, field)
        for value in given if isinstance(given, list) else [given]:
            near = nearest(value, known) if value and value not in CAPTURE_TYPE_ALIASES else None
            if near is not None:
                lines.append(f"{field} {shown(value)} is sent as it is; did you mean {shown(near)}?")
    return lines


def nearest(value: str, known: Iterable[str], *, cutoff: float = 0.9) -> str | None:
    """Return the known name that `value` looks like a typo of; None when it is known itself, or unlike all.

    `cutoff` is how alike they must be, from 0 to 1: `furnish` may well be a mode of its own.
    """
    by_form = {_form(name): name for name in known}
    if value in by_form.values():
        return None
    found = difflib.get_close_matches(_form(value)[:SHORT], by_form, n=1, cutoff=cutoff)
    return by_form[found[0]] if found else None


def _form(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


def _given(record: Mapping[Any, Any]) -> dict[Any, Any]:
    return {key: value for key, value in record.items() if value is not None and (value != "" or key in _NEEDED)}


#: An empty text in these is a mistake, not an absence.
_NEEDED: Final = frozenset({"listing_id", "photo_id", "source"})


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _refused(
    error: ValidationError, *, where: str, listing_id: str | None, photo_id: str | None = None, known: Iterable[str]
) -> BadRecord:
    details = error.errors(include_url=False)
    # A misspelt field comes before the missing one that it stands for.
    first = min(details, key=lambda detail: detail["type"] != "extra_forbidden")
    field = ".".join(str(part) for part in first["loc"] if part != "[key]")
    problem, remedy = _said(first, field, known)
    return BadRecord(
        where=where, listing_id=listing_id, photo_id=photo_id, field=_field(field), problem=problem, remedy=remedy
    )


def _field(name: str) -> str:
    return name if name.isprintable() and len(name) <= SHORT else shown(name)


def _said(detail: ErrorDetails, field: str, known: Iterable[str]) -> tuple[str, str]:
    kind = detail["type"]
    if kind == "stagecrew":
        return detail["ctx"]["problem"], detail["ctx"]["remedy"]
    if kind == "extra_forbidden":
        near = nearest(field, known, cutoff=0.5)
        remedy = f"did you mean {shown(near)}?" if near else f"the known ones are {', '.join(known)}"
        return "there is no such field", remedy
    if kind == "missing":
        return "it is missing", _REMEDIES[kind]
    given = detail["input"]
    if field == "room_types" and isinstance(given, str):
        return f"{shown(given)} is no list", f'write ["{given[:SHORT]}"]'
    problem = f"{shown(given) if not isinstance(given, dict | list) else _kind(given)} is not right"
    return problem, _REMEDIES.get(kind, detail["msg"])
