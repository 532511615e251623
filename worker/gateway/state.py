"""What the gateway's routes share: the settings, and the accounts that are open while it serves."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from config.settings import Settings
from worker.services import Account, open_account

#: The account of a webhook or record that names none.
DEFAULT = "default"


@dataclass(slots=True, kw_only=True)
class Gateway:
    """One gateway process; `accounts` is filled while it serves, and routes look into it at each request."""

    settings: Settings
    accounts: dict[str, Account] = field(default_factory=dict)

    def secrets(self) -> Mapping[str, tuple[str, ...]]:
        """Return each account's webhook secrets, for comparing only."""
        return {DEFAULT: tuple(secret.get_secret_value() for secret in self.settings.webhook_secrets)}

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Open every account's part of Redis; a Redis that is away now is asked again by each request."""
        async with contextlib.AsyncExitStack() as stack:
            for name in self.secrets():
                self.accounts[name] = await stack.enter_async_context(open_account(self.settings, name))
            yield
            self.accounts.clear()
