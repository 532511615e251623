"""One frozen tree of settings, from the environment and a `.env` file in the working folder (the environment wins).

`load_settings` checks everything at once and says for each problem which variable, what is wrong, and what to do.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_LIMIT: Final = re.compile(r"(\d+)/(\d+(?:\.\d+)?)s")


class SettingsError(Exception):
    """The settings can't be used; one line a problem: the variable, what is wrong, what to do."""


class Limit(BaseModel):
    """`count` calls in every window of `window_s` seconds; written `120/60s`."""

    model_config = ConfigDict(frozen=True)

    count: int = Field(ge=1)
    window_s: float = Field(gt=0)

    @model_validator(mode="before")
    @classmethod
    def _parse(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        found = _LIMIT.fullmatch(value.strip())
        if not found:
            message = f"{value!r} is no limit; write calls and window like 120/60s"
            raise ValueError(message)
        return {"count": int(found[1]), "window_s": float(found[2])}

    def __str__(self) -> str:
        """Return the limit as it is written."""
        return f"{self.count}/{self.window_s:g}s"


def _per_minute(count: int) -> Limit:
    return Limit(count=count, window_s=60)


class LimitSettings(BaseModel):
    """The organisation's limits; one that is set here wins over what the API reports."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source_assets: Limit = Field(_per_minute(120), description="Sources taken in (`POST /source-assets`).")
    generations: Limit = Field(_per_minute(120), description="Jobs created (`POST /generations`).")
    regenerate: Limit = Field(_per_minute(120), description="Jobs regenerated (`POST /generations/{id}/regenerate`).")
    generation_reads: Limit = Field(_per_minute(1200), description="Jobs read (`GET /generations/{id}`).")
    ingest_reads: Limit = Field(_per_minute(120), description="Ingests read (`GET /source-assets/{id}`); not documented.")
    source_fetches: Limit = Field(_per_minute(60), description="Sources that the API fetches itself, by `source_url`.")
    usage: Limit = Field(_per_minute(120), description="Usage summaries read.")
    billing: Limit = Field(_per_minute(120), description="Pages of the billing ledger read.")
    in_flight: int = Field(50, ge=1, description="Jobs in flight at once, in the whole organisation.")


class Settings(BaseSettings):
    """All settings; each field's description and the names of its variable are in `docs/settings.md`."""

    model_config = SettingsConfigDict(
        env_prefix="STAGECREW_",
        env_nested_delimiter="__",
        env_file=".env",
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        populate_by_name=True,
    )

    katalo_api_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("KATALO_API_KEY", "katalo_api_key"),
        description="The organisation's API key, `kat_live_...`. Without it `stagecrew run` works against the sandbox.",
    )
    katalo_base_url: str = Field(
        "https://app.katalo.ai",
        validation_alias=AliasChoices("KATALO_BASE_URL", "katalo_base_url"),
        description="Where the API is.",
    )
    katalo_webhook_secret: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("KATALO_WEBHOOK_SECRET", "katalo_webhook_secret"),
        description="Secret that signs the API's webhooks; for the gateway.",
    )
    redis_url: SecretStr = Field(
        SecretStr("redis://127.0.0.1:6379/0"),
        description="The ledger's Redis (>= 7, or Valkey), with AOF: `redis://`, `rediss://` or `unix://`.",
    )
    broker_url: SecretStr | None = Field(None, description="Celery's broker; the ledger's Redis unless set.")
    storage_url: str = Field(
        "", description="Where outputs go: `s3://bucket/prefix`, `gs://`, `az://`, `file:///folder`. "
        "Unless set, the folder `stagecrew-output` below the working folder.",
    )
    completions_url: str = Field(
        "redis+stream://stagecrew.completions",
        description="Where completion messages go: `redis+stream://NAME` in the ledger's Redis.",
    )
    completions_max_len: int = Field(1_000_000, ge=1000, description="Messages the completion stream keeps (about).")
    webhook_public_url: str | None = Field(None, description="Public https URL that the API sends webhooks to.")
    limits: LimitSettings = LimitSettings()
    source_mode: Literal["auto", "upload", "url"] = Field(
        "auto",
        description="How sources reach the API: `upload` sends their bytes, `url` lets the API fetch public https "
        "sources that are not signed, `auto` uploads.",
    )
    accounts_file: Path | None = Field(None, description="File of several Katalo organisations; not part of this release.")
    allow_private_hosts: bool = Field(
        False, description="Allow http and private addresses for sources and outputs: for the sandbox and tests only."
    )
    state_dir: Path = Field(Path(".stagecrew"), description="Folder of `stagecrew run`'s own Redis, sandbox and logs.")
    hands: int = Field(64, ge=1, le=1000, description="Photos that one worker process works on at once.")
    lease_s: float = Field(20.0, ge=1, description="Seconds a step may go unheard of before it is handed out again.")
    guard_ms: int = Field(
        1000,
        ge=0,
        description="Margin on every budget's window, ms: how long a grant is good for. A budget of N a window W "
        "yields N per W + guard, so 1000 costs 1.6 % of a minute's budget.",
    )
    look_ahead: int | None = Field(
        None, ge=1, description="Photos between the backlog and a slot; as many as slots unless set."
    )
    max_attempts: int = Field(12, ge=1, description="Failed tries of one step before the photo fails.")
    ingest_deadline_s: float = Field(600, gt=0, description="Seconds (API time) until an unfinished ingest is done anew.")
    max_source_bytes: int = Field(50_000_000, ge=1, description="A larger source is refused.")
    max_output_bytes: int = Field(100_000_000, ge=1, description="A larger output is not kept.")
    retention_days: float = Field(30, gt=0, description="Days that rows of ended photos stay in Redis; manifests stay.")
    ageing_s: float = Field(600, gt=0, description="Seconds of waiting that are worth one priority.")
    speed: float = Field(
        1.0, gt=0, description="How much faster than real time the API's clock runs: for the sandbox only. "
        "Divides every duration that the API governs.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level that is logged.")
    log_format: Literal["auto", "json", "pretty"] = Field(
        "auto", description="`json` a line an event, `pretty` for people; `auto`: pretty on a terminal."
    )
    flower_auth: SecretStr | None = Field(
        None, description="`user:password` that Flower asks for; without it Flower listens on 127.0.0.1 only."
    )

    @property
    def redis_url_text(self) -> str:
        """The ledger's URL with its password: for connecting, never for showing."""
        return self.redis_url.get_secret_value()

    @property
    def broker_url_text(self) -> str:
        """The broker's URL with its password; a `unix://` ledger is `redis+socket://` to Celery."""
        if self.broker_url is not None:
            return self.broker_url.get_secret_value()
        return re.sub(r"^unix://", "redis+socket://", self.redis_url_text)

    @field_validator("redis_url")
    @classmethod
    def _redis_scheme(cls, value: SecretStr) -> SecretStr:
        if urlsplit(value.get_secret_value()).scheme not in {"redis", "rediss", "unix"}:
            message = "it must begin with redis://, rediss:// or unix://"
            raise ValueError(message)
        return value

    @field_validator("katalo_base_url")
    @classmethod
    def _base_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            message = "it must be an http(s) address like https://app.katalo.ai"
            raise ValueError(message)
        return value.rstrip("/")

    @field_validator("storage_url")
    @classmethod
    def _storage(cls, value: str) -> str:
        value = value or (Path.cwd() / "stagecrew-output").as_uri()
        if urlsplit(value).scheme not in {"s3", "gs", "az", "file"}:
            message = "it must begin with s3://, gs://, az:// or file:///"
            raise ValueError(message)
        return value

    @field_validator("completions_url")
    @classmethod
    def _completions(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme in {"sqs", "sns", "https", "celery"}:
            message = f"{parts.scheme}:// sinks are not part of this release; use redis+stream://NAME"
            raise ValueError(message)
        if parts.scheme != "redis+stream" or not parts.netloc:
            message = "it must be redis+stream://NAME"
            raise ValueError(message)
        return value

    @field_validator("accounts_file")
    @classmethod
    def _accounts(cls, value: Path | None) -> Path | None:
        if value is not None:
            message = "several accounts are not part of this release; remove it and use KATALO_API_KEY"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _storage_default(self) -> Self:
        if not self.storage_url:
            object.__setattr__(self, "storage_url", (Path.cwd() / "stagecrew-output").as_uri())
        return self


def variable_of(name: str) -> str:
    """Return the environment variable of a setting."""
    return name.upper() if name.startswith("katalo_") else f"STAGECREW_{name.upper()}"


def variables() -> set[str]:
    """Return the names of all variables that are read."""
    names = {variable_of(name) for name in Settings.model_fields if name != "limits"}
    return names | {f"STAGECREW_LIMITS__{name.upper()}" for name in LimitSettings.model_fields}


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Return the settings; with `environ` from that mapping alone. Raises SettingsError naming every problem."""
    seen = os.environ if environ is None else environ
    problems = [_unknown(name) for name in sorted(seen) if name.startswith("STAGECREW_") and name not in variables()]
    try:
        settings = Settings() if environ is None else _from_mapping(environ)
    except ValidationError as error:
        problems += [_problem(found) for found in error.errors(include_input=False, include_url=False)]
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def _from_mapping(environ: Mapping[str, str]) -> Settings:
    values: dict[str, Any] = {}
    for name in Settings.model_fields:
        if name != "limits" and environ.get(variable_of(name)):
            values[name] = environ[variable_of(name)]
    limits = {
        name: environ[f"STAGECREW_LIMITS__{name.upper()}"]
        for name in LimitSettings.model_fields
        if environ.get(f"STAGECREW_LIMITS__{name.upper()}")
    }
    return Settings.model_validate({**values, "limits": limits})


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, variables(), n=1)
    remedy = f"did you mean {near[0]}?" if near else "docs/settings.md lists all settings"
    return f"{name}: there is no such setting; {remedy}"


def _problem(found: Any) -> str:
    place = [str(part) for part in found["loc"]]
    if place[:1] == ["limits"]:
        variable = "__".join(["STAGECREW_LIMITS", *(part.upper() for part in place[1:2])])
    else:
        variable = place[0] if place[0].isupper() else variable_of(place[0])
    said = str(found["msg"]).removeprefix("Value error, ")
    return f"{variable}: {said[0].lower()}{said[1:]}"
