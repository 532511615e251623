"""The tree of settings: each field with its default, its meaning for `docs/settings.md`, and what is checked of it.

`Settings(...)` takes what it is given and reads nothing; `config.settings.load_settings` is the door to the
environment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, AliasChoices, Field, PrivateAttr, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from config.accounts import Origin
from config.caps import CapSettings
from config.intake import EnqueueFilesBelow, IntakeMaxBytes, IntakeTokens
from config.intake_rate import IntakeRate
from config.limits import LimitSettings
from config.messages import MessageKey
from config.partners import Weights
from config.redis_address import redis_address
from config.redis_tls import RedisCaFile, RedisCertFile, RedisKeyFile
from config.sinks import CompletionsSecret, CompletionsUrl, SinkAddress, signing_secrets, sink_addresses

_STORES: Final = frozenset({"s3", "gs", "az", "file"})


def _parts(text: str) -> list[str]:
    """Return what stands between commas and blanks; a line break is neither."""
    return [part for part in re.split(r"[, \t]+", text) if part]


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        message = "who checks the file is elsewhere; give an absolute path like /tmp/stagecrew-alive"
        raise ValueError(message)
    return path


def _beside() -> str:
    return (Path.cwd() / "stagecrew-output").as_uri()


class Settings(BaseSettings):
    """All settings; each field's description and the name of its variable are in `docs/settings.md`."""

    model_config = SettingsConfigDict(
        env_prefix="STAGECREW_",
        env_nested_delimiter="__",
        # A limit is written `120/60s`, which is no JSON.
        enable_decoding=False,
        frozen=True,
        extra="forbid",
        populate_by_name=True,
    )

    katalo_api_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("KATALO_API_KEY", "katalo_api_key"),
        description="The organisation's API key. Without it `stagecrew run` works against the sandbox.",
    )
    katalo_base_url: str = Field(
        default="https://app.katalo.ai",
        validation_alias=AliasChoices("KATALO_BASE_URL", "katalo_base_url"),
        description="Where the API is.",
    )
    katalo_webhook_secret: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("KATALO_WEBHOOK_SECRET", "katalo_webhook_secret"),
        description="Secrets that sign the API's webhooks, separated by commas or blanks: two while one is rotated, "
        "and either counts. For the gateway.",
    )
    redis_url: SecretStr = Field(
        default=SecretStr("redis://127.0.0.1:6379/0"),
        description="The ledger's Redis (>= 7, or Valkey), with AOF: `redis://`, `rediss://` or `unix://`.",
    )
    redis_ca_file: RedisCaFile = None
    redis_cert_file: RedisCertFile = None
    redis_key_file: RedisKeyFile = None
    message_key: MessageKey = None
    broker_url: SecretStr | None = Field(default=None, description="Celery's broker; the ledger's Redis unless set.")
    storage_url: str = Field(
        default_factory=_beside,
        description="Where outputs go: `s3://bucket/prefix`, `gs://`, `az://`, `file:///folder`. "
        "Unless set, the folder `stagecrew-output` in the working folder.",
    )
    limits: LimitSettings = Field(default=LimitSettings(), description="The organisation's limits.")
    caps: CapSettings = Field(default=CapSettings(), description="What may be spent.")
    job_price_usd: Decimal | None = Field(
        default=None,
        ge=0,
        description="What a job costs, for `stagecrew enqueue --dry-run`; learnt from the billing ledger unless set.",
    )
    billing_lateness_h: float = Field(
        default=24, ge=0, description="Hours (API time) after its end until a job's bill counts as missing."
    )
    reconcile_days: int = Field(
        default=7,
        ge=0,
        description="Days that the fleet's own daily reconciliation looks back; 0: it does none.",
    )
    source_mode: Literal["auto", "upload", "url"] = Field(
        default="auto",
        description="How sources reach the API: `upload` sends their bytes, `url` lets the API fetch public "
        "https sources that are not signed, `auto` does so while its budget for fetches is free and uploads otherwise, "
        "also what the API could not fetch.",
    )
    accounts_file: Path | None = Field(
        default=None, description="File of several Katalo organisations, TOML or JSON: see [accounts](accounts.md)."
    )
    partner_weights: Weights = Field(
        default={}, description="Turns that partners take within a priority, like `acme=3,globex=1`; 1 unless named."
    )
    allow_private_hosts: bool = Field(
        default=False,
        description="Allow http and private addresses for sources, outputs, webhooks and https sinks: for the "
        "sandbox and tests only.",
    )
    completions_url: CompletionsUrl = Field(
        default=SecretStr("redis+stream://stagecrew.completions"),
        description="Where completion messages go, several separated by blanks: `redis+stream://NAME` (a stream in the "
        "ledger's Redis), `sqs://QUEUE`, `sns://ARN`, `https://...`, `celery://TASK`; see [events](events.md).",
    )
    completions_secret: CompletionsSecret = Field(
        default=None,
        validate_default=True,
        description="Secret that signs the messages to https sinks, `whsec_...` or any text; several, separated by "
        "blanks, all sign. `NAME=SECRET` is for one sink.",
    )
    completions_max_len: int = Field(
        default=1_000_000, ge=1000, description="Messages that the completion stream keeps, about."
    )
    # After what its check depends on.
    webhook_public_url: str | None = Field(
        default=None,
        description="Public https address that the API sends webhooks to; `/webhooks/katalo` is added to a bare host. "
        "With it jobs are read only where a webhook did not come.",
    )
    gateway_host: str = Field(
        default="127.0.0.1", pattern=r"^[^\s/]+$", description="Address that the gateway listens on."
    )
    gateway_port: int = Field(default=8080, ge=0, le=65535, description="Port of the gateway; 0 takes a free one.")
    metrics_host: str = Field(
        default="127.0.0.1", pattern=r"^[^\s/]+$", description="Address that each worker shows its metrics on."
    )
    metrics_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="Port of each worker's `/metrics`, `/healthz` and `/readyz` (9808 is a good one); none unless set. "
        "Where it is in use, as by another worker on the machine, the worker takes one of the next 31, or goes on "
        "without; 0 takes a free one. The gateway shows `/metrics` on its own port.",
    )
    state_dir: Path = Field(
        default=Path(".stagecrew"), description="Folder of `stagecrew run`'s own Redis, sandbox and logs."
    )
    hands: int = Field(
        default=64, ge=1, le=1000, description="Photos that one worker process works on at once, of each account."
    )
    lease_s: float = Field(
        default=20, ge=1, description="Seconds a step may go unheard of before it is handed out again."
    )
    shutdown_grace_s: float = Field(
        default=25,
        ge=0,
        description="Seconds a worker that is told to end gives its running steps; longer ones are left to their "
        "leases. Whoever stops it should wait a few seconds longer.",
    )
    alive_file: Annotated[Path, AfterValidator(_absolute)] | None = Field(
        default=None,
        description="File that a worker touches each second, for a container's health check: its age says whether the "
        "worker lives.",
    )
    gateway_drain_s: float = Field(
        default=0,
        ge=0,
        description="Seconds the gateway goes on listening, with /readyz saying no, after it was told to end: for load "
        "balancers that look for that.",
    )
    guard_ms: int = Field(
        default=1000,
        ge=0,
        description="How long a grant is good for, in ms: the longest way of a call to the API. It costs no budget: a "
        "grant holds its place for so much longer only until its call is over (docs/flow-control.md).",
    )
    look_ahead: int | None = Field(
        default=None, ge=1, description="Photos made ready ahead of free slots; by learnt ingest times unless set."
    )
    max_attempts: int = Field(
        default=12,
        ge=1,
        description="Failed tries of one step before the photo fails; 200 at least where the API gives no answer.",
    )
    ingest_deadline_s: float = Field(
        default=600, gt=0, description="Seconds (API time) until an unfinished ingest is done anew."
    )
    job_deadline_s: float = Field(
        default=1800,
        gt=0,
        description="Seconds (API time) after which a job that has not ended is reported as late. It is paid for, "
        "so it goes on being read.",
    )
    max_source_bytes: int = Field(
        default=50_000_000, ge=1, description="Bytes of the largest source; a larger one is refused."
    )
    max_output_bytes: int = Field(
        default=100_000_000, ge=1, description="Bytes of the largest output; a larger one is not kept."
    )
    retention_days: float = Field(
        default=30, gt=0, description="Days that rows of ended photos stay in Redis; manifests stay for ever."
    )
    ageing_s: float = Field(
        default=600, gt=0, description="Seconds of waiting that are worth one priority, so nothing starves."
    )
    speed: float = Field(
        default=1,
        gt=0,
        description="How much faster than real time the API's clock runs: for the sandbox only. "
        "Divides every duration that the API governs.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Least level that is logged."
    )
    log_format: Literal["auto", "json", "pretty"] = Field(
        default="auto", description="`json` a line an event, `pretty` for people; `auto`: pretty on a terminal."
    )
    intake_tokens: IntakeTokens = None
    intake_rate: IntakeRate = None
    intake_max_bytes: IntakeMaxBytes = 256 * 1024 * 1024
    enqueue_files_below: EnqueueFilesBelow = None
    flower_auth: SecretStr | None = Field(
        default=None,
        description="`user:password` that Flower asks for; without it Flower listens on 127.0.0.1 only.",
    )

    _origin: Origin = PrivateAttr(default=Origin())

    @property
    def origin(self) -> Origin:
        """Where these settings came from, and whose they are."""
        return self._origin

    def coming_from(self, origin: Origin) -> Settings:
        """Return a copy with another origin."""
        copy = self.model_copy()
        copy._origin = origin  # noqa: SLF001 - a copy of our own
        return copy

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

    @property
    def sinks(self) -> tuple[SinkAddress, ...]:
        """Where completion messages go."""
        return sink_addresses(self.completions_url.get_secret_value(), allow_http=self.allow_private_hosts)

    @property
    def sink_secrets(self) -> Mapping[str, tuple[bytes, ...]]:
        """The secrets that sign the messages to each https sink, by its name."""
        return signing_secrets(
            self.completions_secret.get_secret_value() if self.completions_secret else "", self.sinks
        )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what is given and nothing else: `load_settings` reads the environment."""
        return (init_settings,)

    @property
    def webhook_secrets(self) -> tuple[SecretStr, ...]:
        """The secrets of which any may sign a webhook; none when none is set."""
        given = self.katalo_webhook_secret
        return () if given is None else tuple(SecretStr(part) for part in _parts(given.get_secret_value()))

    @field_validator("katalo_webhook_secret")
    @classmethod
    def _printable_parts(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        parts = _parts(value.get_secret_value())
        if not parts or not all(re.fullmatch(r"[!-~]+", part) for part in parts):
            message = (
                "it has a character that no secret has, or no secret at all; write one or more, separated by commas"
            )
            raise ValueError(message)
        return value

    @field_validator("katalo_api_key")
    @classmethod
    def _printable(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[!-~]+", value.get_secret_value()):
            message = "it has a blank or a character that no secret has; copy it again, without line breaks"
            raise ValueError(message)
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis_scheme(cls, value: SecretStr) -> SecretStr:
        redis_address(value.get_secret_value())
        return value

    @field_validator("broker_url")
    @classmethod
    def _broker(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and urlsplit(value.get_secret_value()).scheme in {"redis", "rediss"}:
            redis_address(value.get_secret_value())
        return value

    @field_validator("katalo_base_url")
    @classmethod
    def _base_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            message = "it must be an http(s) address like https://app.katalo.ai"
            raise ValueError(message)
        return value.rstrip("/")

    @field_validator("webhook_public_url")
    @classmethod
    def _public_url(cls, value: str | None, info: ValidationInfo) -> str | None:
        schemes = {"https", "http"} if info.data.get("allow_private_hosts") else {"https"}
        if value is not None and (urlsplit(value).scheme not in schemes or not urlsplit(value).hostname):
            message = "it must be an https address that the API can reach, like https://hooks.example.com"
            raise ValueError(message)
        return value

    @field_validator("storage_url")
    @classmethod
    def _storage(cls, value: str) -> str:
        if urlsplit(value).scheme not in _STORES:
            message = "it must begin with s3://, gs://, az:// or file:///"
            raise ValueError(message)
        return value

    @field_validator("speed")
    @classmethod
    def _speed(cls, value: float, info: ValidationInfo) -> float:
        host = urlsplit(str(info.data.get("katalo_base_url", ""))).hostname or ""
        if value != 1 and (host == "katalo.ai" or host.endswith(".katalo.ai")):
            message = "the real API's clock runs in real time; remove it, or set KATALO_BASE_URL to a sandbox"
            raise ValueError(message)
        return value

    @field_validator("flower_auth")
    @classmethod
    def _flower(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[^:]+:.+", value.get_secret_value()):
            message = "it must be a user and a password, written user:password"
            raise ValueError(message)
        return value
