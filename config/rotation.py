"""Keys and secrets that change while a process runs: the accounts file, the files it names, and `.env` are watched.

A file that can't be used any more changes nothing: what it said last stays in force, and `trouble` says why.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from config.accounts import AccountSettings, accounts_of
from config.settings import SettingsError, load_settings

if TYPE_CHECKING:
    from config.settings import Settings


class LiveAccounts:
    """The accounts as their files have them now."""

    def __init__(self, settings: Settings) -> None:
        """Begin with what `settings` say; they are read again from where they came from."""
        self._origin = settings.origin
        self._accounts = accounts_of(settings)
        self._seen = self._marks()
        #: What is wrong with the files now, as `load_settings` says it; empty when nothing is.
        self.trouble = ""

    def accounts(self, *, look_closer: bool = False) -> dict[str, AccountSettings]:
        """Return the accounts; the files are read when they have changed, or in any case with `look_closer`.

        Settings that were not loaded, but made by hand, stay as they are.
        """
        marks = self._marks()
        if self._origin.loaded and (look_closer or marks != self._seen):
            self._read()
            # Marked as they were before the reading: what changed during it is seen the next time.
            self._seen = marks
        return self._accounts

    def _read(self) -> None:
        try:
            settings = load_settings(self._origin.environ)
        except SettingsError as error:
            self.trouble = str(error)
        else:
            self._origin, self._accounts, self.trouble = settings.origin, accounts_of(settings), ""

    def _marks(self) -> list[tuple[int, int, int] | None]:
        return [_mark(path) for path in self._origin.files]


def _mark(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
