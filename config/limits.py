"""What an organisation may do: calls in every window of a route, and jobs in flight."""

from __future__ import annotations

import re
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, model_validator

_LIMIT: Final = re.compile(r"(\d+)\s*/\s*(\d+(?:\.\d+)?)\s*s")


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
    ingest_reads: Limit = Field(
        _per_minute(120),
        description="Ingests read (`GET /source-assets/{id}`); the API's documents name no limit.",
    )
    source_fetches: Limit = Field(_per_minute(60), description="Sources that the API fetches itself, by `source_url`.")
    usage: Limit = Field(_per_minute(120), description="Usage summaries read (`GET /usage/summary`).")
    billing: Limit = Field(_per_minute(120), description="Pages of the billing ledger read.")
    in_flight: int = Field(50, ge=1, description="Jobs in flight at once, in the whole organisation.")
