"""One frozen tree of settings, from the environment and a `.env` file in the working folder (the environment wins).

`load_settings` checks everything at once and says for each problem which variable, what is wrong, and what to do; it is
the only door to the environment: `Settings(...)` itself takes what it is given and reads nothing.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from typing import Any, Final

from dotenv import dotenv_values
from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource

from config.accounts import Origin
from config.caps import CapSettings
from config.limits import Limit, LimitSettings
from config.tree import Settings

__all__ = [
    "CapSettings",
    "Limit",
    "LimitSettings",
    "Settings",
    "SettingsError",
    "load_settings",
    "variable_of",
    "variables",
]


class SettingsError(Exception):
    """The settings can't be used; one line a problem: the variable, what is wrong, what to do."""


#: Settings that are a group of variables, `STAGECREW_<GROUP>__<NAME>`.
GROUPS: Final = {"limits": LimitSettings.model_fields, "caps": CapSettings.model_fields}


class _Given(EnvSettingsSource):
    """Variables from a mapping instead of the process's environment; empty ones count as not set."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(Settings)
        self.env_vars = {name.lower(): value for name, value in environ.items() if value}


def variable_of(name: str) -> str:
    """Return the environment variable of a setting."""
    return name.upper() if name.startswith("katalo_") else f"STAGECREW_{name.upper()}"


def variables() -> set[str]:
    """Return the names of all variables that are read."""
    names = {variable_of(name) for name in Settings.model_fields if name not in GROUPS}
    return names | {f"STAGECREW_{group.upper()}__{name.upper()}" for group in GROUPS for name in GROUPS[group]}


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Return the settings; with `environ` from that mapping alone. Raises SettingsError naming every problem."""
    from config.accounts_file import read_accounts  # noqa: PLC0415 - what it reads are settings too

    origin = Origin(loaded=True, environ=environ)
    if environ is None:
        environ = {**_from_file(), **os.environ}
    known = variables()
    problems = [_unknown(name) for name in sorted(environ) if name.startswith("STAGECREW_") and name not in known]
    try:
        settings = Settings(**_Given({name: environ[name] for name in known if name in environ})())
    except ValidationError as error:
        problems += [_problem(found) for found in error.errors(include_input=False, include_url=False)]
    else:
        settings, found = read_accounts(settings, origin, environ)
        problems += found
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def _from_file() -> dict[str, str]:
    """Return what the `.env` file says. Raises SettingsError when there is one that can't be read."""
    try:
        return {name: value for name, value in dotenv_values(".env").items() if value is not None}
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "it is no UTF-8 text"
        message = f".env: it can't be read ({reason}); correct or remove it, docs/settings.md lists what it may say"
        raise SettingsError(message) from None


def _unknown(name: str) -> str:
    # All share the prefix, which would make any two of them alike.
    known = {variable.removeprefix("STAGECREW_"): variable for variable in sorted(variables())}
    near = difflib.get_close_matches(name.removeprefix("STAGECREW_"), known, n=1)
    remedy = f"did you mean {known[near[0]]}?" if near else "remove it; docs/settings.md lists all settings"
    return f"{name}: there is no such setting; {remedy}"


def _problem(found: Any) -> str:
    place = [str(part) for part in found["loc"]]
    grouped = place[0] in GROUPS and len(place) > 1
    variable = f"STAGECREW_{place[0].upper()}__{place[1].upper()}" if grouped else variable_of(place[0].lower())
    return f"{variable}: {said_of(found)}"


def said_of(found: Any) -> str:
    """Return what one of pydantic's findings says, with a remedy."""
    said = str(found["msg"]).removeprefix("Value error, ")
    said = f"{said[0].lower()}{said[1:]}"
    # A check of our own names its remedy itself.
    return said if found["type"] == "value_error" else f"{said}; see docs/settings.md"
