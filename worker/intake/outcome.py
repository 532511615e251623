"""What reading a record gives: a listing to enqueue, or one clear line about what is wrong and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from worker.core.photo import NewListing

#: Longer ids and values are cut in messages (ids may have 1,000 characters).
SHOWN_CHARACTERS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedListing:
    """A listing that can be enqueued; `warnings` are lines for the user about what may not be meant."""

    listing: NewListing
    warnings: tuple[str, ...] = ()
    #: Where its record stands, for messages.
    where: str = ""
    #: The account that the record itself names; without one `worker.intake.routing` says whose it is.
    account: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRecord:
    """A record, or one photo of it, that is refused before anything is paid for; `str()` is one clear line.

    `where` is for example `listings.jsonl line 3`; `listing_id` and `photo_id` are None where they can't be told.
    """

    where: str
    listing_id: str | None = None
    photo_id: str | None = None
    field: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        """Return where, which listing and photo, which field, what is wrong, and what to do."""
        names = []
        if self.listing_id is not None:
            names.append(f"listing {shown(self.listing_id)}")
        if self.photo_id is not None:
            names.append(f"photo {shown(self.photo_id)}")
        subject = f"{', '.join(names)}: " if names else ""
        field = f"{self.field}: " if self.field else ""
        return f"{self.where}: {subject}{field}{self.problem}; {self.remedy}"


Result: TypeAlias = ParsedListing | BadRecord


def shorten(text: str) -> str:
    """Return `text` as one printable line of at most 60 characters or little more, whatever characters are in it."""
    cut = text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 3]}..."
    return "".join(character if character.isprintable() else _escaped(character) for character in cut)


def shown(value: object) -> str:
    """Return `value` as `shorten` does, text in quotes."""
    return f"'{shorten(value)}'" if isinstance(value, str) else shorten(repr(value))


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")
