"""What may be spent: caps on billable jobs, for the organisation and for each partner."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

_CAP: Final = re.compile(r"(?P<name>.+)=\s*(?P<count>\d+)\s*/\s*(?P<span>day|period)")


class PartnerCap(BaseModel):
    """Billable jobs of one partner: in a day (UTC) and in a billing period; None is no cap."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    per_day: int | None = Field(default=None, ge=0)
    per_period: int | None = Field(default=None, ge=0)


class CapSettings(BaseModel):
    """Caps on billable jobs; 0 lets none be created. A day is UTC, by Redis's clock."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    account_per_day: int | None = Field(None, ge=0, description="Billable jobs of the organisation in a day (UTC).")
    account_per_period: int | None = Field(
        None, ge=0, description="Billable jobs of the organisation in a billing period."
    )
    partner_per_day: int | None = Field(
        None, ge=0, description="Billable jobs in a day (UTC) of each partner that has no cap of its own."
    )
    partner_per_period: int | None = Field(
        None, ge=0, description="Billable jobs in a billing period of each partner that has no cap of its own."
    )
    partners: Mapping[str, PartnerCap] = Field(
        default_factory=dict,
        description="Caps of single partners: `acme=100/day, acme=2000/period, globex=50/day`.",
    )
    stop_at_included: bool = Field(
        False, description="Create nothing beyond the allowance that the usage summary says is included."
    )

    @field_validator("partners", mode="before")
    @classmethod
    def _parse(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        caps: dict[str, dict[str, int]] = {}
        for part in filter(None, (part.strip() for part in value.split(","))):
            found = _CAP.fullmatch(part)
            if not found:
                message = f"{part!r} is no cap; write partner and cap like acme=100/day, acme=2000/period"
                raise ValueError(message)
            name, span = found["name"].strip(), f"per_{found['span']}"
            if span in caps.setdefault(name, {}):
                message = f"partner {name!r} has two caps per {found['span']}; keep one"
                raise ValueError(message)
            caps[name][span] = int(found["count"])
        return caps
