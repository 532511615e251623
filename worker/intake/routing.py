"""Which account a listing belongs to; pure, and the same for every way in.

`account` in the record, else the account that its partner belongs to, else `default`. A photo is named by account,
listing and photo: the same record under another account is another photo, and another job.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from config.accounts import DEFAULT
from worker.intake.outcome import BadRecord, Result, shown

if TYPE_CHECKING:
    from config.accounts import AccountSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """The accounts that there are, and which partners belong to which."""

    accounts: tuple[str, ...] = (DEFAULT,)
    by_partner: Mapping[str, str]

    @classmethod
    def of(cls, accounts: Mapping[str, AccountSettings]) -> Self:
        """Return the routes of `config.accounts.accounts_of`."""
        owners = {partner: account.name for account in accounts.values() for partner in account.partners}
        return cls(accounts=tuple(accounts), by_partner=owners)


def routed(found: Result, routes: Routes, *, account: str | None = None) -> Result:
    """Return a listing with its account in place, or what is wrong with it; a BadRecord stays as it is.

    `account` overrides the record and its partner.
    """
    if isinstance(found, BadRecord):
        return found
    listing = found.listing
    named = account or found.account
    name = named or routes.by_partner.get(listing.partner, DEFAULT)
    if name in routes.accounts:
        return replace(found, listing=replace(listing, account=name))
    if named:
        problem, remedy = f"there is no account {shown(name)}", f"name one of {', '.join(routes.accounts)}"
    else:
        problem = f"none is named, and partner {shown(listing.partner)} belongs to none"
        remedy = f"name one of {', '.join(routes.accounts)}, or list the partner in the accounts file"
    return BadRecord(where=found.where, listing_id=listing.listing_id, field="account", problem=problem, remedy=remedy)
