"""Follows the photos of one run to their ends, from completion messages and from the ledger's rows; pure.

A photo counts by the fingerprint of the request that this run enqueued: news of an older revision is not its end.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, NamedTuple

from config.accounts import DEFAULT
from worker.core.events import CANCELLED, FAILED, STAGED
from worker.core.identity import fingerprint
from worker.core.photo import ENDED, HELD, NewListing, Stage
from worker.ledger.snapshot import Enqueued, PhotoView, Verdict

_STAGE_OF: Final[Mapping[str, Stage]] = {STAGED: Stage.DONE, FAILED: Stage.FAILED, CANCELLED: Stage.CANCELLED}


class PhotoName(NamedTuple):
    """Which photo of a run; the same ids under another account are another photo."""

    listing_id: str
    photo_id: str
    account: str = DEFAULT

    def __str__(self) -> str:
        """Return the name for people."""
        shown = f"{self.listing_id}/{self.photo_id}"
        return shown if self.account == DEFAULT else f"{self.account}: {shown}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a photo of this run has ended, or why it waits for a person."""

    stage: Stage
    #: It had ended before this run enqueued it.
    before: bool = False
    code: str | None = None
    message: str | None = None
    manifest: str | None = None


class Tracker:
    """The photos of one run: which are open, and how the others ended."""

    def __init__(self) -> None:
        """Begin with no photos."""
        self._open: dict[PhotoName, str] = {}
        self._wanted: dict[PhotoName, str] = {}
        self._listings: set[str] = set()
        self._looked_at: list[str] = []
        self.outcomes: dict[PhotoName, Outcome] = {}
        self.verdicts: Counter[Verdict] = Counter()

    @property
    def total(self) -> int:
        """Photos of this run."""
        return len(self._wanted)

    @property
    def open(self) -> int:
        """Photos that are still on their way."""
        return len(self._open)

    def count(self, *stages: Stage, before: bool | None = None) -> int:
        """Return how many photos ended (or are held) in one of `stages`; `before` asks for those of earlier runs."""
        return sum(outcome.stage in stages and before in (None, outcome.before) for outcome in self.outcomes.values())

    def knows(self, listing_id: str) -> bool:
        """Say whether a listing is part of this run."""
        return listing_id in self._listings

    def enqueued(self, listings: Iterable[NewListing], answers: Iterable[Enqueued]) -> None:
        """Take in what enqueueing gave, in the same order."""
        photos = ((listing, photo) for listing in listings for photo in listing.photos)
        for (listing, photo), answer in zip(photos, answers, strict=True):
            name = PhotoName(listing.listing_id, photo.photo_id, listing.account)
            self._listings.add(listing.listing_id)
            self._wanted[name] = fingerprint(photo.request)
            self.verdicts[answer.verdict] += 1
            if answer.verdict is Verdict.SAME and answer.stage in ENDED:
                self._open.pop(name, None)
                self.outcomes[name] = Outcome(stage=answer.stage, before=True)
            else:
                self._open[name] = self._wanted[name]

    def event(self, text: str) -> Mapping[str, Any]:
        """Take in one completion message (CloudEvents JSON) and return it parsed."""
        event: dict[str, Any] = json.loads(text)
        stage = _STAGE_OF.get(str(event.get("type")))
        data = event.get("data") or {}
        name = PhotoName(str(data.get("listing_id")), str(data.get("photo_id")), str(data.get("account", DEFAULT)))
        if stage is not None and self._wanted.get(name) == data.get("fingerprint"):
            error = data.get("error") or {}
            self._end(
                name,
                Outcome(
                    stage=stage,
                    code=error.get("code"),
                    message=error.get("message"),
                    manifest=data.get("manifest"),
                ),
            )
        return event

    def rows(self, views: Iterable[PhotoView]) -> None:
        """Take in rows of the ledger: photos that are held, and ends whose message was missed."""
        for view in views:
            name = PhotoName(view.listing_id, view.photo_id, view.account)
            if self._open.get(name) == view.fingerprint and view.stage in ENDED | HELD:
                self._end(name, Outcome(stage=view.stage, code=view.error_code, message=view.error_message))

    def to_look_at(self, limit: int) -> list[str]:
        """Return up to `limit` listings with open photos, others each time until all had their turn."""
        if not self._looked_at:
            self._looked_at = list(dict.fromkeys(name.listing_id for name in self._open))
        turn = list(islice(self._looked_at, limit))
        del self._looked_at[:limit]
        return turn

    def staged_earlier(self, names: Iterable[PhotoName]) -> None:
        """Note that photos of this run were found staged already: their outputs are older than the run."""
        for name in names:
            outcome = self.outcomes[name]
            self.outcomes[name] = Outcome(stage=outcome.stage, before=True, manifest=outcome.manifest)

    def _end(self, name: PhotoName, outcome: Outcome) -> None:
        self._open.pop(name, None)
        self.outcomes[name] = outcome
