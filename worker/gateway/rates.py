"""How often each token may ask: that many requests at once, and evenly after that (GCRA). One process's own, in memory.

It keeps one number a token, and forgets nothing, because tokens are the operator's and few.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from config.limits import Limit


class Rates:
    """Counts requests by who makes them."""

    def __init__(self, limit: Limit) -> None:
        """`limit`: of each."""
        self._window_s = limit.window_s
        self._each_s = limit.window_s / limit.count
        self._paid_until_s: dict[int, float] = {}

    def wait_s(self, who: int, *, now_s: float) -> float:
        """Take one request of `who` in; return 0, or how long to wait, and then it is not counted."""
        paid_s = max(self._paid_until_s.get(who, now_s), now_s) + self._each_s
        wait_s = paid_s - now_s - self._window_s
        # A thousandth of a request is a rounding error.
        if wait_s > self._each_s / 1000:
            return wait_s
        self._paid_until_s[who] = paid_s
        return 0.0
