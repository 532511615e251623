"""Calls of the API in the model: each may come in at any moment from its grant until its guard, or itself, is over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

API_WINDOW_MS: Final = 9_000
GUARD_MS: Final = 1_000


@dataclass
class Calls:
    """The calls of one account. `limit`: calls of a route in any window of the API's."""

    limit: int
    #: By route and token: the first and the last moment at which the call can come in.
    made: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)
    #: Until when a route, the whole account, or everything after a restart, is held.
    held_until: dict[str, int] = field(default_factory=dict)

    def hold(self, what: str, until: int) -> None:
        self.held_until[what] = max(self.held_until.get(what, 0), until)

    def why_not(self, route: str, now: int) -> str | None:
        """Say why no call of a route may be made now; None when one may."""
        if max(self.held_until.get(what, 0) for what in (route, "account", "restart")) > now:
            return "paused"
        recent = [last for _, last in self.made.get(route, {}).values() if last >= now - API_WINDOW_MS]
        return "budget" if len(recent) >= self.limit else None

    def granted(self, route: str, token: str, now: int) -> None:
        self.made.setdefault(route, {})[token] = (now, now + GUARD_MS)

    def over(self, token: str, now: int) -> None:
        """The step is settled, so its call has come in by now."""
        for calls in self.made.values():
            if token in calls:
                first, last = calls[token]
                calls[token] = (first, min(last, now))

    def most_at_once(self, route: str) -> int:
        """Return the most calls that any window of the API's can have seen, each at the worst of its moments."""
        calls = self.made[route].values()
        return max(sum(first < begin + API_WINDOW_MS and last >= begin for first, last in calls) for _, begin in calls)
