"""Where records are handed over: every account's ledger, and which record belongs to which account.

It needs Redis only: records of an account whose store or API is in trouble are taken in all the same, and wait there.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from worker.intake.reception import Desk, Reception
from worker.intake.routing import Routes, routed
from worker.ledger.intake import IntakeCounters
from worker.services import Account, open_account

if TYPE_CHECKING:
    from config.rotation import LiveAccounts
    from config.settings import Settings


class Desks:
    """The accounts' desks of one worker process."""

    def __init__(self, settings: Settings, live: LiveAccounts) -> None:
        """`live` says which partner belongs to which account, as its file has it now."""
        self._settings = settings
        self._live = live
        self._accounts: dict[str, Account] = {}

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Open every account's part of Redis; it is connected to at first use."""
        async with contextlib.AsyncExitStack() as stack:
            for name in self._live.accounts():
                self._accounts[name] = await stack.enter_async_context(open_account(self._settings, name))
            yield
            self._accounts.clear()

    def reception(self, *, door: str) -> Reception:
        """Begin a hand-over."""
        return reception(self._accounts, self._live, door=door)


def reception(accounts: Mapping[str, Account], live: LiveAccounts, *, door: str) -> Reception:
    """Begin a hand-over to open accounts; one that came into the file later is known when the process starts anew."""
    known = {name: found for name, found in live.accounts().items() if name in accounts}
    desks = {
        name: Desk(ledger=accounts[name].ledger, counters=IntakeCounters(accounts[name].scripts)) for name in known
    }
    return Reception(desks, door=door, route=partial(routed, routes=Routes.of(known)))
