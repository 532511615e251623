"""Writes the completion messages of the ledger's stream to a file, one a line, each at least once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.cli.doors import LedgerPort
    from worker.cli.tracker import Tracker

#: Messages read in one round trip.
_PAGE = 1000


class Journal:
    """Copies messages from the stream to `completions.jsonl` and tells the tracker about them."""

    def __init__(
        self,
        path: Path,
        *,
        begun_ms: int,
        position: str | None = None,
        noted: Callable[[str], None] = lambda _position: None,
    ) -> None:
        """`begun_ms`: when this run began, by Redis's clock.

        With `position`, the last stream id that an earlier run copied, all messages since then are copied; without it
        only those of this run's listings are. `noted` is told how far the copy has come, once the lines are on disk.
        """
        self.path = path
        self._position = position or f"{begun_ms - 1}-0"
        self._begun_ms = begun_ms
        self._whole = position is not None
        self._noted = noted

    async def copy(self, ledger: LedgerPort, tracker: Tracker) -> int:
        """Copy what is new; return how many messages were read. Raises RedisError, OSError."""
        read = 0
        while True:
            entries = await ledger.completions(self._position, _PAGE)
            read += len(entries)
            if entries:
                self._write([text for entry_id, text in entries if self._take(entry_id, text, tracker)])
                self._position = entries[-1][0]
                self._noted(self._position)
            if len(entries) < _PAGE:
                return read

    def _take(self, entry_id: str, text: str, tracker: Tracker) -> bool:
        # A message from before this run is no news of the photos that it enqueued.
        if int(entry_id.partition("-")[0]) < self._begun_ms:
            return self._whole
        event = tracker.event(text)
        return self._whole or tracker.knows(str((event.get("data") or {}).get("listing_id")))

    def _write(self, lines: list[str]) -> None:
        if lines:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as out:
                out.writelines(f"{line}\n" for line in lines)
