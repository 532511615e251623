"""What the gateway's routes share: the settings, and the accounts that are open while it serves."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

from config.settings import Settings
from worker.services import DEFAULT, Account, open_account

#: Each account's webhook secrets as they are now, for comparing only.
Secrets = Callable[[], Mapping[str, tuple[str, ...]]]


@dataclass(slots=True, kw_only=True)
class Gateway:
    """One gateway process; `accounts` is filled while it serves, and routes look into it at each request."""

    settings: Settings
    secrets: Secrets
    accounts: dict[str, Account] = field(default_factory=dict)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Open every account's part of Redis; a Redis that is away now is asked again by each request."""
        async with contextlib.AsyncExitStack() as stack:
            for name in self.secrets():
                self.accounts[name] = await stack.enter_async_context(open_account(self.settings, name))
            yield
            self.accounts.clear()


def secrets_of(settings: Settings) -> Mapping[str, tuple[str, ...]]:
    """Return the accounts of the settings, each with its webhook secrets."""
    return {DEFAULT: tuple(secret.get_secret_value() for secret in settings.webhook_secrets)}
