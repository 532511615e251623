"""An account's API key, taken over from its file when that changes: rotated without a restart (contract, point 53)."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from config.rotation import LiveAccounts
    from worker.katalo.client import KataloClient

logger = logging.getLogger(__name__)


class Keyring:
    """Keeps one account's client at the key that its file has."""

    def __init__(self, client: KataloClient, accounts: LiveAccounts, account: str) -> None:
        """`accounts` is shared by the accounts of a process."""
        self._client = client
        self._accounts = accounts
        self._account = account
        self._trouble = ""

    async def renewed(self, *, look_closer: bool = False) -> bool:
        """Take the file's key over; True when it is another than before. `look_closer` reads it in any case."""
        # A file may be on a slow disk; every account of the process would wait for it.
        found = await asyncio.to_thread(self._accounts.accounts, look_closer=look_closer)
        account, trouble, changed = found.get(self._account), self._accounts.trouble, False
        if account is not None and account.api_key is not None:
            try:
                changed = self._client.use_key(account.api_key.get_secret_value())
            except ValueError as error:
                trouble = str(error)
        else:
            trouble = trouble or "the settings have no key for this account any more"
        if changed:
            logger.warning("api key replaced", extra={"account": self._account})
        # Once, not at every look.
        if trouble and trouble != self._trouble:
            logger.warning("the last good key stays in use", extra={"account": self._account, "reason": trouble})
        self._trouble = trouble
        return changed
