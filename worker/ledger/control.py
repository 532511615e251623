"""What people may ask of photos on their way or done: another picture, or to be cancelled.

Guarantees: every answer is decided by one script on the row, so no job is bought after `withdrawn` was answered, and
another picture is asked for once however often the same call is repeated while it is being made.

Pausing is in `worker/ledger/pausing.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from worker.core.events import listing_completed_parts, photo_cancelled
from worker.core.identity import listing_key, photo_key
from worker.core.photo import ENDED, Stage
from worker.core.request import dumps
from worker.ledger.rows import order_text, to_photo
from worker.ledger.verdicts import Cancelled, CancelVerdict, PhotoName, Regenerated, RegenerateVerdict
from worker.storage.latest import latest_manifest
from worker.storage.manifest import Manifest

if TYPE_CHECKING:
    from worker.ledger.ledger import Ledger
    from worker.storage.store import ObjectStore

_PACKAGE: Final = "worker.ledger.lua"
#: Photos in one call of a script: Redis does nothing else meanwhile.
AT_ONCE: Final = 100


class Control:
    """Regenerates and cancels photos of one account. All methods may raise RedisError."""

    def __init__(self, ledger: Ledger, *, store: ObjectStore | None = None) -> None:
        """`store`: where the pictures of photos are found whose rows have expired; without it those stay unknown."""
        self._ledger = ledger
        self._scripts = ledger.scripts
        self._redis: Any = ledger.scripts.redis
        self._store = store

    async def regenerate(self, photos: Sequence[PhotoName], *, number: int | None = None) -> list[Regenerated]:
        """Ask for another picture of each staged photo: each is another job, which is billed.

        `number` says which regeneration is meant (the first is 1), so that a repeated request never asks for one more;
        without it, it is the one after those that are known when this is called. Raises StoreError when a row has
        expired and the store can't be read.
        """
        answers: list[Regenerated] = []
        for some in _parts(list(dict.fromkeys(photos))):
            args: list[str | int] = [self._ledger.clock]
            for name, row in zip(some, await self._rows(some), strict=True):
                kept = None if row else await self._kept(*name)
                latest = kept.regeneration if kept else int(row.get("regeneration", 0))
                args += [photo_key(*name), number or latest + 1, dumps(_restored(kept)) if kept else ""]
            reply = await self._scripts.call(_PACKAGE, "regenerate", args)
            for name, word, stage, made in zip(some, reply[::3], reply[1::3], reply[2::3], strict=True):
                answers.append(
                    Regenerated(
                        account=self._ledger.account,
                        listing_id=name[0],
                        photo_id=name[1],
                        verdict=RegenerateVerdict(word),
                        stage=Stage(stage) if stage else None,
                        number=int(made),
                    )
                )
        return answers

    async def cancel(self, photos: Sequence[PhotoName], *, keep: bool = True) -> list[Cancelled]:
        """Withdraw photos whose create was not sent yet; of the others, keep the paid result or drop it."""
        answers: dict[PhotoName, Cancelled] = {}
        remaining = list(dict.fromkeys(photos))
        while remaining:
            changed: list[PhotoName] = []
            for some in _parts(remaining):
                reply = await self._scripts.call(_PACKAGE, "cancel", await self._cancel_args(some, keep=keep))
                for name, word, stage in zip(some, reply[::2], reply[1::2], strict=True):
                    if word == "changed":
                        # Another order took its place after the look at it: its message has to say so.
                        changed.append(name)
                        continue
                    answers[name] = Cancelled(
                        account=self._ledger.account,
                        listing_id=name[0],
                        photo_id=name[1],
                        verdict=CancelVerdict(word),
                        stage=Stage(stage) if stage else None,
                    )
            remaining = changed
        return [answers[name] for name in dict.fromkeys(photos)]

    async def _cancel_args(self, photos: Sequence[PhotoName], *, keep: bool) -> list[str | int]:
        ledger = self._ledger
        now_ms = await ledger.now_ms()
        args: list[str | int] = [ledger.clock, "keep" if keep else "drop", *ledger.ending_args]
        for name, row in zip(photos, await self._rows(photos), strict=True):
            key = photo_key(*name)
            args.append(key)
            if not row or Stage(row["stage"]) in ENDED:
                args += ["", ""]
                continue
            order = await self._redis.get(f"{self._scripts.root}o:{key}")
            photo = to_photo(key, ledger.account, row, order or "", now_ms=now_ms)
            ending = {"event": photo_cancelled(photo, paid=False), "announce": listing_completed_parts(photo)}
            args += [row["accepted_ms"], dumps(ending)]
        return args

    async def _rows(self, photos: Sequence[PhotoName]) -> list[dict[str, str]]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for name in photos:
                pipe.hgetall(f"{self._scripts.root}p:{photo_key(*name)}")
            rows: list[dict[str, str]] = await pipe.execute()
        return rows

    async def _kept(self, listing_id: str, photo_id: str) -> Manifest | None:
        return await latest_manifest(self._store, listing_id, photo_id) if self._store is not None else None


def _restored(kept: Manifest) -> dict[str, str]:
    """Return what a row must know to make another picture of one that only the store knows."""
    return {
        "listing_id": kept.listing_id,
        "listing_key": listing_key(kept.listing_id),
        "photo_id": kept.photo_id,
        "partner": kept.partner,
        "fingerprint": kept.fingerprint,
        "revision": str(kept.revision),
        "regeneration": str(kept.regeneration),
        "job_id": kept.job_id,
        "order": order_text(dumps(kept.request), dumps(kept.metadata)),
    }


def _parts(photos: Sequence[PhotoName]) -> list[Sequence[PhotoName]]:
    return [photos[start : start + AT_ONCE] for start in range(0, len(photos), AT_ONCE)]
