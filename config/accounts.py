"""The accounts of a fleet: one Katalo organisation each, with key, webhook secrets, limits and partners of its own.

Without `STAGECREW_ACCOUNTS_FILE` there is exactly `default`, from `KATALO_API_KEY`. With it there are the accounts that
the file names, and `default` too when `KATALO_API_KEY` is set. What an account does not say holds as the settings say
it. `accounts_of` tells what there is; `settings_for` gives one account's settings, with its own values in their place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretStr

from config.caps import CapSettings
from config.limits import LimitSettings

if TYPE_CHECKING:
    from config.settings import Settings

#: The account of a record that names none and whose partner belongs to none.
DEFAULT: Final = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One account as the file has it, checked: its own values of settings, by their names."""

    name: str
    own: Mapping[str, Any]
    webhook_secrets: tuple[SecretStr, ...]
    partners: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSettings:
    """One account with everything that is in force for it."""

    name: str
    api_key: SecretStr | None
    #: A webhook is genuine when it is signed with any of them.
    webhook_secrets: tuple[SecretStr, ...]
    base_url: str
    limits: LimitSettings
    #: Where its outputs go: the fleet's store for `default`, below `@NAME` in it for another, unless it has its own.
    storage_url: str
    #: Partners whose records belong to this account.
    partners: tuple[str, ...]
    partner_weights: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where settings came from: what the variables alone do not say."""

    #: Read by `load_settings`, and not made by hand.
    loaded: bool = False
    #: What was given instead of the process's environment and its `.env` file.
    environ: Mapping[str, str] | None = field(default=None, repr=False)
    #: The accounts that the file names.
    entries: tuple[Entry, ...] = ()
    #: Files whose change may mean another key.
    files: tuple[Path, ...] = ()
    #: What works and yet should not stay so; a line each, for people.
    doubts: tuple[str, ...] = ()
    #: Whose settings these are, and those of the whole fleet when they are one account's.
    account: str = DEFAULT
    fleet: Settings | None = None


class UnknownAccount(LookupError):  # noqa: N818 - named after what happened
    """The settings have no such account; the message lists those that there are."""

    def __init__(self, name: str, known: Mapping[str, object]) -> None:
        """`known`: the accounts that there are, by name."""
        super().__init__(f"there is no account {name!r}; there are {', '.join(known)}")


def accounts_of(settings: Settings) -> dict[str, AccountSettings]:
    """Return all accounts by name, `default` first, the others in the file's order."""
    return {name: _resolved(settings_for(settings, name), entry) for name, entry in _entries(settings).items()}


def has_key(settings: Settings) -> bool:
    """Say whether any account has an API key; without one there is nothing but the sandbox."""
    return any(account.api_key is not None for account in accounts_of(settings).values())


def settings_for(settings: Settings, name: str | None = None) -> Settings:
    """Return the settings of one account, with `origin.account` its name. Raises UnknownAccount.

    Without a name they are those of the account whose settings these are already, else of `default`.
    """
    if settings.origin.fleet is not None and name in {None, settings.origin.account}:
        return settings
    name = name or DEFAULT
    entries = _entries(settings)
    if name not in entries:
        raise UnknownAccount(name, entries)
    fleet = settings.origin.fleet or settings
    entry, own = entries[name], dict[str, Any]()
    if entry is not None:
        own |= entry.own
        if name != DEFAULT:
            own = {"katalo_api_key": None, "katalo_webhook_secret": None, "storage_url": below(fleet, name)} | own
        weights = {**fleet.partner_weights, **own.get("partner_weights", {})}
        limits = {**fleet.limits.model_dump(exclude_unset=True), **own.get("limits", {})}
        caps = {**fleet.caps.model_dump(exclude_unset=True), **own.get("caps", {})}
        own |= {"partner_weights": weights, "limits": LimitSettings(**limits), "caps": CapSettings(**caps)}
    return fleet.model_copy(update=own).coming_from(replace(fleet.origin, account=name, fleet=fleet))


def below(settings: Settings, name: str) -> str:
    """Return where an account's outputs go that has no store of its own; no listing's folder begins with an @."""
    return f"{settings.storage_url.rstrip('/')}/@{name}"


def _entries(settings: Settings) -> dict[str, Entry | None]:
    """Return the accounts; one that only the settings themselves make has no entry."""
    named = {entry.name: entry for entry in settings.origin.entries}
    if named and DEFAULT not in named and (settings.origin.fleet or settings).katalo_api_key is None:
        return {**named}
    return {DEFAULT: named.get(DEFAULT), **named}


def _resolved(settings: Settings, entry: Entry | None) -> AccountSettings:
    secrets = entry.webhook_secrets if entry is not None else ()
    secrets = secrets or settings.webhook_secrets
    return AccountSettings(
        name=settings.origin.account,
        api_key=settings.katalo_api_key,
        webhook_secrets=secrets,
        base_url=settings.katalo_base_url,
        limits=settings.limits,
        storage_url=settings.storage_url,
        partners=entry.partners if entry is not None else (),
        partner_weights=settings.partner_weights,
    )
