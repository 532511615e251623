"""How much is tried: a little, and always the same, with `make test`; as long as wanted with `make fuzz`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

#: Times as much as usual; set by `make fuzz`.
TIMES = int(os.environ.get("FUZZ_TIMES", "0"))

#: Any value that JSON can say, now and then far too large.
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["", " ", ".", "..", "/", "\x00", "\ud800", "{}", "a" * 5_000, "🏠" * 300, "1e999", 10**400, -1])
)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def tried(examples: int) -> Callable[[Any], Any]:
    """Try so many examples; with `make fuzz` many times as many, every time others."""
    return settings(
        max_examples=examples * max(1, TIMES),
        derandomize=not TIMES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
