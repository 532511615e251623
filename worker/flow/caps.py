"""Caps on billable jobs as the scripts take them (`worker/lua/caps.lua`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Cap:
    """Billable jobs in a day (UTC, by Redis's clock) and in a billing period; None is no cap."""

    per_day: int | None = None
    per_period: int | None = None

    def wire(self) -> dict[str, int]:
        """Return what is capped."""
        named = {"day": self.per_day, "period": self.per_period}
        return {name: number for name, number in named.items() if number is not None}


@dataclass(frozen=True, kw_only=True)
class Caps:
    """What one organisation may spend; `partner` is for each partner without a cap of its own."""

    account: Cap = Cap()
    partner: Cap = Cap()
    partners: Mapping[str, Cap] = field(default_factory=dict)
    stop_at_included: bool = False

    @cached_property
    def text(self) -> str:
        """The caps as JSON; empty when there is none at all, so that nothing is parsed."""
        whole = {
            "account": self.account.wire(),
            "partner": self.partner.wire(),
            # A partner's own cap for the day leaves the common one for the period in force, and the other way round.
            "partners": {name: self.partner.wire() | cap.wire() for name, cap in sorted(self.partners.items())},
            "included": self.stop_at_included,
        }
        return json.dumps(whole, sort_keys=True) if any(whole.values()) else ""


#: Nothing is capped.
NO_CAPS: Final = Caps()
