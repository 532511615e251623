"""Reads `STAGECREW_ACCOUNTS_FILE`: every problem at once, each with the account, the field and what to do.

The file says who there is; a secret may stand in it, in a variable (`..._env`) or in a file of its own (`..._file`), so
that the accounts file itself can be committed. Secrets are in no message.
"""

from __future__ import annotations

import difflib
import json
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError, field_validator

from config.accounts import DEFAULT, Entry, Origin, below
from config.settings import GROUPS, Settings, said_of

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

#: Far more than a thousand accounts take.
MAX_FILE_BYTES: Final = 4 * 1024 * 1024

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_VARIABLE: Final = "STAGECREW_ACCOUNTS_FILE"
_DOCUMENT: Final = "see docs/accounts.md"
#: Fields of an account that are settings of the fleet under another name, by the name of the setting.
_FIELD_OF: Final[Mapping[str, str]] = {
    "katalo_api_key": "api_key",
    "katalo_base_url": "base_url",
    "partner_weights": "partners",
}


class _Raw(BaseModel):
    """One account as it is written; what the values may be, the settings know."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    api_key: SecretStr | None = None
    api_key_env: str | None = None
    api_key_file: Path | None = None
    webhook_secrets: tuple[SecretStr, ...] = ()
    webhook_secrets_env: tuple[str, ...] = ()
    webhook_secrets_file: Path | None = None
    base_url: str | None = None
    storage_url: str | None = None
    limits: dict[str, Any] = {}
    caps: dict[str, Any] = {}
    in_flight: int | None = None
    partners: dict[str, Any] = {}

    @field_validator("webhook_secrets", "webhook_secrets_env", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("partners", mode="before")
    @classmethod
    def _names_or_weights(cls, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        if not all(isinstance(name, str) and name for name in value):
            message = 'it is no list of names; write ["acme", "globex"], or weights: {acme = 3, globex = 1}'
            raise ValueError(message)
        return dict.fromkeys(value, 1)


@dataclass(slots=True)
class _Reading:
    """The file as it is read: what was found, what is wrong, and which files have a say."""

    path: Path
    environ: Mapping[str, str]
    fleet: Settings
    problems: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)

    def wrong(self, account: str, name: str, said: str) -> None:
        """Note a problem."""
        place = f"account {account}: " if account else ""
        self.problems.append(f"{_VARIABLE}: {self.path}: {place}{f'{name}: ' if name else ''}{said}")


def read_accounts(settings: Settings, origin: Origin, environ: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """Return the settings with their accounts, and what is wrong; without an accounts file as they are."""
    files = [] if origin.environ is not None else [Path.cwd() / ".env"]
    path = settings.accounts_file
    if path is None:
        return settings.coming_from(replace(origin, files=tuple(files))), []
    reading = _Reading(path=path, environ=environ, fleet=settings, files=[*files, path.absolute()])
    written = _written(reading)
    entries, doubts = list[Entry](), list[str]()
    for name, raw in written.items():
        entry = _entry(reading, name, raw)
        if entry is not None:
            entries.append(entry)
    _check_together(reading, entries)
    if any(_has_secrets(raw) for raw in written.values()) and path.stat().st_mode & stat.S_IROTH:
        doubts.append(f"{path} has secrets and everybody can read it; chmod 600, or use api_key_file or api_key_env")
    origin = replace(origin, entries=tuple(entries), files=tuple(reading.files), doubts=tuple(doubts))
    return settings.coming_from(origin), reading.problems


def _text_of(path: Path) -> str:
    """Return a file's text. Raises OSError, or ValueError when it is no text or too large to be meant."""
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        message = f"it has more than {MAX_FILE_BYTES:,} bytes"
        raise ValueError(message)
    return data.decode("utf-8")


def _written(reading: _Reading) -> Mapping[str, Any]:
    """Return the accounts as they stand in the file."""
    path = reading.path
    try:
        text = _text_of(path)
        found: Any = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except OSError as error:
        reading.wrong("", "", f"it can't be read ({error.strerror or error}); give the path of a file that is there")
        return {}
    except (ValueError, RecursionError) as error:
        # TOML's and JSON's errors say where, and quote nothing but a character.
        reading.wrong("", "", f"it is not {'JSON' if path.suffix.lower() == '.json' else 'TOML'}: {error}; {_DOCUMENT}")
        return {}
    accounts = found.get("accounts") if isinstance(found, dict) else None
    if not isinstance(accounts, dict) or not accounts:
        reading.wrong("", "", "it names no account; write a table [accounts.NAME] for each")
        return {}
    for name in found.keys() - {"accounts"}:
        reading.wrong("", str(name), "there is no such field; accounts stand in tables [accounts.NAME]")
    return accounts


def _entry(reading: _Reading, name: str, raw: Any) -> Entry | None:
    """Return one account; None when it can't be used, and then the problems are noted."""
    before = len(reading.problems)
    if not _NAME.fullmatch(name):
        reading.wrong(name, "", "it can't be a name; use lower-case letters, digits, - and _, at most 32")
    if not isinstance(raw, dict):
        reading.wrong(name, "", "it is no table; write its fields below [accounts.NAME]")
        return None
    try:
        written = _Raw.model_validate(raw)
    except ValidationError as error:
        for found in error.errors(include_input=False, include_url=False):
            reading.wrong(name, *_said(found, _Raw.model_fields))
        return None
    own = _own(reading, name, written)
    secrets = _webhook_secrets(reading, name, written)
    checked = _checked(reading, name, own)
    if checked is None or len(reading.problems) > before:
        return None
    return Entry(name=name, own=checked, webhook_secrets=tuple(secrets), partners=tuple(written.partners))


def _own(reading: _Reading, name: str, written: _Raw) -> dict[str, Any]:
    """Return an account's own values of settings, not yet checked."""
    given = {
        "katalo_api_key": _api_key(reading, name, written),
        "katalo_base_url": written.base_url,
        "storage_url": written.storage_url,
        "limits": dict(written.limits),
        "caps": dict(written.caps),
        "partner_weights": dict(written.partners),
    }
    if written.in_flight is not None:
        if "in_flight" in written.limits:
            reading.wrong(name, "in_flight", "it is there twice; keep one of in_flight and limits.in_flight")
        given["limits"] = {**written.limits, "in_flight": written.in_flight}
    return {setting: value for setting, value in given.items() if value}


def _checked(reading: _Reading, name: str, own: dict[str, Any]) -> dict[str, Any] | None:
    """Return the values as the settings have them: they are held to exactly the same rules."""
    try:
        found = Settings(speed=reading.fleet.speed, **{"katalo_base_url": reading.fleet.katalo_base_url} | own)
    except ValidationError as error:
        for detail in error.errors(include_input=False, include_url=False):
            place = [str(part).lower() for part in detail["loc"]]
            field_name = ".".join([_FIELD_OF.get(place[0], place[0]), *place[1:]])
            known = GROUPS.get(place[0], {})
            reading.wrong(
                name, field_name, _unknown(place[-1], known) if known and _is_extra(detail) else said_of(detail)
            )
        return None
    grouped = {name: getattr(found, name).model_dump(exclude_unset=True) for name in GROUPS}
    return {setting: grouped[setting] if setting in grouped else getattr(found, setting) for setting in own}


def _api_key(reading: _Reading, name: str, written: _Raw) -> str | None:
    forms = [form for form in ("api_key", "api_key_env", "api_key_file") if getattr(written, form) is not None]
    if len(forms) > 1:
        reading.wrong(name, forms[1], f"the account has {forms[0]} too; keep one of them")
    if name == DEFAULT and reading.fleet.katalo_api_key is not None:
        if forms:
            reading.wrong(name, forms[0], "KATALO_API_KEY is set too, and is this account's key; keep one of them")
        return None
    if not forms:
        reading.wrong(name, "api_key", "it is missing; give api_key, api_key_env or api_key_file")
    if written.api_key is not None:
        key = written.api_key.get_secret_value().strip()
        if not key:
            reading.wrong(name, "api_key", "it is empty; copy it from the organisation's dashboard")
        return key or None
    if written.api_key_env is not None:
        return _variable(reading, name, "api_key_env", written.api_key_env)
    if written.api_key_file is not None:
        return _file(reading, name, "api_key_file", written.api_key_file)
    return None


def _webhook_secrets(reading: _Reading, name: str, written: _Raw) -> list[SecretStr]:
    found = [secret.get_secret_value() for secret in written.webhook_secrets]
    found += [_variable(reading, name, "webhook_secrets_env", one) or "" for one in written.webhook_secrets_env]
    if written.webhook_secrets_file is not None:
        found += (_file(reading, name, "webhook_secrets_file", written.webhook_secrets_file) or "").split()
    secrets = [secret.strip() for secret in found if secret.strip()]
    if any(not re.fullmatch(r"[!-~]+", secret) for secret in secrets):
        reading.wrong(name, "webhook_secrets", "one has a blank or a character that no secret has; copy it again")
    return [SecretStr(secret) for secret in dict.fromkeys(secrets)]


def _variable(reading: _Reading, name: str, form: str, variable: str) -> str | None:
    value = reading.environ.get(variable, "").strip()
    if not value:
        reading.wrong(name, form, f"the variable {variable} is not set; set it, or name another")
    return value or None


def _file(reading: _Reading, name: str, form: str, path: Path) -> str | None:
    where = reading.path.absolute().parent / path
    reading.files.append(where)
    try:
        value = _text_of(where).strip()
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or (
            "it is not text" if isinstance(error, UnicodeDecodeError) else str(error)
        )
        reading.wrong(name, form, f"{where} can't be read ({reason}); give a file that is there")
        return None
    if not value:
        reading.wrong(name, form, f"{where} is empty; write the secret into it")
    return value or None


def _check_together(reading: _Reading, entries: list[Entry]) -> None:
    """Note what no two accounts may share: a key is one organisation's, a partner and a store are one account's."""
    keys, owners, stores = dict[tuple[str, str], str](), dict[str, str](), dict[str, str]()
    main, base_url = reading.fleet.katalo_api_key, reading.fleet.katalo_base_url
    if main is not None:
        keys[base_url, main.get_secret_value()] = DEFAULT
        if all(entry.name != DEFAULT for entry in entries):
            stores[reading.fleet.storage_url.rstrip("/")] = DEFAULT
    for entry in entries:
        key = entry.own.get("katalo_api_key")
        at = entry.own.get("katalo_base_url", base_url)
        other = keys.setdefault((at, key.get_secret_value()), entry.name) if key else entry.name
        if other != entry.name:
            said = f"it is the key of account {other} too, and two accounts of one organisation overrun its limits"
            reading.wrong(entry.name, "api_key", f"{said}; keep one of them")
        usual = reading.fleet.storage_url if entry.name == DEFAULT else below(reading.fleet, entry.name)
        other = stores.setdefault(entry.own.get("storage_url", usual).rstrip("/"), entry.name)
        if other != entry.name:
            said = f"account {other} stores its outputs there too"
            reading.wrong(entry.name, "storage_url", f"{said}; leave it out, or name another place")
        for partner in entry.partners:
            other = owners.setdefault(partner, entry.name)
            if other != entry.name:
                reading.wrong(entry.name, "partners", f"{partner!r} belongs to account {other} too; keep one of them")


def _said(found: ErrorDetails, known: Mapping[str, Any]) -> tuple[str, str]:
    place = ".".join(str(part) for part in found["loc"])
    return place, _unknown(place, known) if _is_extra(found) else said_of(found).replace("settings.md", "accounts.md")


def _is_extra(found: ErrorDetails) -> bool:
    return found["type"] == "extra_forbidden"


def _unknown(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"there is no such field; did you mean {near[0]}?" if near else f"there is no such field; {_DOCUMENT}"


def _has_secrets(raw: Any) -> bool:
    return isinstance(raw, dict) and bool(raw.get("api_key") or raw.get("webhook_secrets"))
