"""What a sandbox is like: its clock, its limits, its faults, and how it reads the contract's open points."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

#: Published limits (contract, section 5): calls a minute of the API's time. Ingest reads are not documented.
LIMITS: Final[Mapping[str, int]] = {
    "source_assets": 120,
    "generations": 120,
    "regenerate": 120,
    "generation_reads": 1200,
    "ingest_reads": 120,
    "source_fetches": 60,
    "usage": 120,
    "billing": 120,
}


def _means(said: str, default: Any) -> Any:
    """Return a fault's field; what it does is told by the page and by `stagecrew sandbox --list-faults`."""
    return field(default=default, metadata={"means": said})


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Shares (0 to 1) of calls or jobs that go wrong, and switches; changeable while it runs."""

    errors_500: float = _means("API calls that answer 500 and have no effect.", 0.0)
    lost_responses: float = _means("API calls that take effect and whose answer never comes.", 0.0)
    truncated_downloads: float = _means("Downloads that end too early.", 0.0)
    expired_urls: float = _means("Signed URLs that are expired when they are given out.", 0.0)
    failed_jobs: float = _means("Jobs that end as failed; those that have begun keep their fate.", 0.0)
    slow_ms: int = _means("Every API call takes so many ms of real time more.", 0)
    api_down: bool = _means("Every API call answers 503.", default=False)
    key_revoked: bool = _means("Every API call answers 401, as after the key was revoked.", default=False)
    entitlement_ended: bool = _means(
        "The usage summary says that the organisation may not use the API, and writes answer 403.", default=False
    )
    allowance_stops: bool = _means("Creates beyond the included allowance answer 402.", default=False)
    double_bills: float = _means("Jobs that are billed twice.", 0.0)
    stale_cursors: float = _means("Cursors of the billing ledger that answer 404.", 0.0)
    reissued_key: str = _means("The key was revoked and this one issued in its place; empty: it was not.", "")
    not_envelope: bool = _means("Errors come as HTML instead of the error envelope.", default=False)
    webhooks_lost: float = _means("Webhooks that are never sent.", 0.0)
    webhooks_doubled: float = _means("Webhooks that are sent twice.", 0.0)
    webhooks_out_of_order: float = _means("Webhooks that come after those of later jobs.", 0.0)
    webhooks_slow: float = _means("Webhooks that come minutes late, by the API's clock.", 0.0)
    webhooks_forged: float = _means("Forged webhooks, signed with a wrong secret, before the true one.", 0.0)
    webhooks_early: float = _means("Jobs that end at once, and whose webhook comes before the create's answer.", 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """How the points that the contract leaves open are read (its section 12)."""

    #: `list` of objects, `object` with primary and alternate, or list of `strings`.
    outputs: str = "list"
    url_field: str = "url"
    #: Field that names an output's role; `is_primary` is a flag, `none` leaves the order to say it.
    role_field: str = "kind"
    running_state: str = "processing"
    success_status: int = 200
    #: What an absent part looks like: `null`, `missing` or `empty`.
    absent: str = "null"
    #: `envelope`, `text` or `html`.
    errors: str = "envelope"
    #: `seconds`, `text`, `date` or `null`; and whether a Retry-After header comes too.
    retry_after: str = "seconds"
    retry_after_header: bool = False
    ingest_ready_state: str = "ready"
    #: The asset's id is in the POST's answer already.
    asset_at_once: bool = False
    in_flight_status: int = 429
    older_usage: bool = False
    billing_list: str = "events"
    billing_newest_first: bool = False
    money_as_number: bool = False
    failure_as_text: bool = False


READINGS: Final[Mapping[str, Readings]] = {
    "newer": Readings(),
    "older": Readings(
        absent="missing",
        retry_after="null",
        retry_after_header=True,
        ingest_ready_state="complete",
        older_usage=True,
        billing_list="data",
        billing_newest_first=True,
        money_as_number=True,
        running_state="pending",
        url_field="signed_url",
        role_field="none",
    ),
    "object": Readings(outputs="object", success_status=201, url_field="download_url", running_state="queued"),
    "terse": Readings(
        outputs="strings", absent="missing", errors="text", success_status=202, failure_as_text=True, retry_after="null"
    ),
    "eager": Readings(asset_at_once=True, role_field="is_primary", url_field="image_url", retry_after="date"),
    "odd": Readings(
        url_field="href",
        role_field="variant",
        absent="empty",
        errors="html",
        running_state="Rendering Pass 2",
        in_flight_status=409,
        retry_after="text",
        success_status=202,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxConfig:
    """One sandbox. Durations are seconds of the API's time, which runs `speed` times as fast as the wall's."""

    seed: int = 1
    speed: float = 1.0
    api_key: str = "kat_live_sandbox.no-secret-at-all"
    webhook_secret: str = "sandbox-webhook-secret"  # noqa: S105 - opens nothing but this simulator
    limits: Mapping[str, int] = field(default_factory=lambda: dict(LIMITS))
    in_flight: int = 50
    #: Limits and cap are off: for measuring the client's own cost.
    limits_off: bool = False
    ingest_min_s: float = 1.0
    ingest_max_s: float = 3.0
    job_min_s: float = 30.0
    job_max_s: float = 60.0
    url_life_s: float = 300.0
    #: Jobs that the plan includes in a month; prices in USD by usage type; how long after a job's end its bill comes.
    included: int = 10_000
    prices: Mapping[str, str] = field(default_factory=lambda: {"generation": "0.50", "regenerate": "0.40"})
    billing_delay_s: float = 0.0
    #: The same source with the same settings is a cached result: there at once, and free.
    cache_hits: bool = False
    max_source_bytes: int = 40_000_000
    #: Sources given by their address are fetched, from anywhere; off, every such ingest fails.
    fetch_sources: bool = False
    #: `drawn`: staged pictures to look at; `tiny`: a thumbnail of the source, for load.
    picture: str = "drawn"
    faults: Faults = Faults()
    #: Fates chosen for photos by their names (`worker/sandbox/fates.py`): `{"pattern": "*kitchen*", "fate": "fails"}`.
    fates: Sequence[Mapping[str, str]] = ()
    readings: Readings = Readings()
    #: SQLite file that keeps everything over restarts; empty: memory.
    state: str = ""

    def to_json(self) -> str:
        """Return the config as the command line of `python -m worker.sandbox` takes it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> SandboxConfig:
        """Return the config of `to_json`; `readings` may be a name of `READINGS`. Raises ValueError."""
        found: dict[str, Any] = json.loads(text)
        known = {item.name for item in fields(cls)}
        if unknown := set(found) - known:
            message = f"a sandbox has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}"
            raise ValueError(message)
        readings = found.get("readings", {})
        found["readings"] = READINGS[readings] if isinstance(readings, str) else Readings(**readings)
        found["faults"] = Faults(**found.get("faults", {}))
        found["limits"] = {**LIMITS, **found.get("limits", {})}
        return cls(**found)
