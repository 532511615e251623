"""Pauses of an account, partners, listings and photos: what is before its create waits until it is resumed.

Guarantee: once a pause was answered, no create of what it covers is sent; jobs in flight are paid for and go on to be
stored. An account and a partner are left out of the turns, so a pause costs the same whatever waits; a listing's and
single photos are parked one by one, and photos that are enqueued to a paused listing later are parked too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from worker.core.identity import listing_key, photo_key
from worker.core.photo import Stage
from worker.core.request import dumps
from worker.ledger.snapshot import pause_text
from worker.ledger.verdicts import Paused, PauseVerdict, PhotoName, Resumed, ResumeVerdict

if TYPE_CHECKING:
    from worker.ledger.ledger import Ledger

_PACKAGE: Final = "worker.ledger.lua"
#: Photos in one call of a script: Redis does nothing else meanwhile.
AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingPause:
    """One paused listing."""

    listing_id: str
    since_ms: int
    reason: str
    by: str

    def __str__(self) -> str:
        """Return it for people."""
        return pause_text(f"listing {self.listing_id}", self.by, self.reason)


class Pauses:
    """Pauses and resumes within one account. All methods may raise RedisError; all may be repeated without harm."""

    def __init__(self, ledger: Ledger) -> None:
        """Work on the account of `ledger`."""
        self._ledger = ledger
        self._scripts = ledger.scripts
        self._redis: Any = ledger.scripts.redis

    async def pause_account(self, *, reason: str = "", by: str = "") -> bool:
        """Send nothing new for the account; False when it was paused already (its reason is renewed)."""
        return await self._halt("account", reason=reason, by=by)

    async def resume_account(self) -> bool:
        """End the account's pause; False when there was none."""
        return await self._release("account")

    async def pause_partner(self, partner: str, *, reason: str = "", by: str = "") -> bool:
        """Send nothing new for a partner; False when it was paused already (its reason is renewed)."""
        return await self._halt(f"partner:{partner}", reason=reason, by=by)

    async def resume_partner(self, partner: str) -> bool:
        """End a partner's pause; False when there was none."""
        return await self._release(f"partner:{partner}")

    async def pause_listing(self, listing_id: str, *, reason: str = "", by: str = "") -> list[Paused]:
        """Pause a listing, photos that are enqueued to it later included; return its photos' answers.

        It is paused even when the ledger does not know it yet: then the list is empty.
        """
        note = dumps({"why": "paused", "note": reason, "by": by, "listing_id": listing_id})
        await self._scripts.call(_PACKAGE, "pause_listing", [self._ledger.clock, listing_key(listing_id), note])
        return await self.pause(await self._photos_of(listing_id), reason=reason, by=by)

    async def resume_listing(self, listing_id: str) -> list[Resumed]:
        """End a listing's pause and those of its photos; return the photos' answers."""
        await self._redis.hdel(f"{self._scripts.root}paused_listings", listing_key(listing_id))
        return await self.resume(await self._photos_of(listing_id))

    async def listings(self) -> list[ListingPause]:
        """Return the paused listings, by their ids."""
        found = await self._redis.hvals(f"{self._scripts.root}paused_listings")
        told = [json.loads(note) for note in found]
        pauses = [
            ListingPause(listing_id=note["listing_id"], since_ms=note["since_ms"], reason=note["note"], by=note["by"])
            for note in told
        ]
        return sorted(pauses, key=lambda pause: pause.listing_id)

    async def pause(self, photos: Sequence[PhotoName], *, reason: str = "", by: str = "") -> list[Paused]:
        """Park photos whose create was not sent yet; the others go on, but are parked should they ever be sent anew."""
        note = dumps({"why": "paused", "note": reason, "by": by})
        return [
            Paused(
                account=self._ledger.account,
                listing_id=name[0],
                photo_id=name[1],
                verdict=PauseVerdict(word),
                stage=stage,
            )
            for name, word, stage in await self._each("pause", photos, note)
        ]

    async def resume(self, photos: Sequence[PhotoName]) -> list[Resumed]:
        """Put paused photos back where they were; what is parked for another reason stays."""
        return [
            Resumed(
                account=self._ledger.account,
                listing_id=name[0],
                photo_id=name[1],
                verdict=ResumeVerdict(word),
                stage=stage,
            )
            for name, word, stage in await self._each("resume", photos)
        ]

    async def _each(
        self, script: str, photos: Sequence[PhotoName], *more: str
    ) -> list[tuple[PhotoName, str, Stage | None]]:
        answers: list[tuple[PhotoName, str, Stage | None]] = []
        names = list(dict.fromkeys(photos))
        for start in range(0, len(names), AT_ONCE):
            some = names[start : start + AT_ONCE]
            args: list[str | int] = [self._ledger.clock, *more, *(photo_key(*name) for name in some)]
            reply = await self._scripts.call(_PACKAGE, script, args)
            for name, word, stage in zip(some, reply[::2], reply[1::2], strict=True):
                answers.append((name, word, Stage(stage) if stage else None))
        return answers

    async def _photos_of(self, listing_id: str) -> list[PhotoName]:
        return [(view.listing_id, view.photo_id) for view in await self._ledger.listing(listing_id)]

    async def _halt(self, what: str, *, reason: str, by: str) -> bool:
        note = dumps({"note": reason, "by": by})
        return bool(await self._scripts.call(_PACKAGE, "halt", [self._ledger.clock, what, note]) == "paused")

    async def _release(self, what: str) -> bool:
        return bool(await self._scripts.call(_PACKAGE, "release", [self._ledger.clock, what]) == "resumed")
