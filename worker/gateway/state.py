"""What the gateway's routes share: the settings, and the accounts that are open while it serves."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from config.rotation import LiveAccounts
from config.settings import Settings
from worker.services import Account, open_account


@dataclass(slots=True, kw_only=True)
class Gateway:
    """One gateway process; `accounts` is filled while it serves, and routes look into it at each request."""

    settings: Settings
    live: LiveAccounts
    accounts: dict[str, Account] = field(default_factory=dict)
    #: It was told to end: load balancers should send nothing more.
    draining: bool = False

    def secrets(self) -> Mapping[str, tuple[str, ...]]:
        """Return the open accounts' webhook secrets as their files have them now; for comparing only."""
        found = self.live.accounts()
        return {
            name: tuple(secret.get_secret_value() for secret in found[name].webhook_secrets) if name in found else ()
            for name in self.accounts
        }

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Open every account's part of Redis; a Redis that is away now is asked again by each request."""
        async with contextlib.AsyncExitStack() as stack:
            for name in self.live.accounts():
                self.accounts[name] = await stack.enter_async_context(open_account(self.settings, name))
            yield
            self.accounts.clear()
