"""How long to wait before trying again: exponential, capped, with jitter; never less than the API asked for."""

from __future__ import annotations

from typing import Final

#: The first wait and the longest one, in milliseconds of the API's time.
FIRST_MS: Final = 1_000
LONGEST_MS: Final = 120_000
#: `2 ** attempt` is cut here, far past the longest wait, so that a huge count stays an integer of sane size.
_MAX_DOUBLINGS: Final = 20


def retry_delay_ms(attempt: int, jitter: float, *, at_least_ms: int = 0) -> int:
    """Return the wait before the try after `attempt` failed ones (0: the first failure just happened).

    `jitter` is a random number in [0, 1) that the caller draws; the wait is between half and the whole of the
    exponential step, and at least `at_least_ms` (the API's `retry_after`).
    """
    step = min(LONGEST_MS, FIRST_MS * 2 ** min(attempt, _MAX_DOUBLINGS))
    return max(at_least_ms, int(step * (0.5 + jitter / 2)))
