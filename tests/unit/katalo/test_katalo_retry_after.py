"""A wait is read from any form the API may give it in, and is always between 1 and 300 seconds."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.katalo.retry_after import LEAST_S, LONGEST_S, retry_after_s

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ([], None),
        ({"seconds": 3}, None),
        (True, None),
        (False, None),
        (float("nan"), None),
        ("nan", None),
        (-1, None),
        ("-1", None),
        (-(10**400), None),
        ("9" * 5000, None),
        (0, 1.0),
        ("0", 1.0),
        (0.2, 1.0),
        (7, 7.0),
        (7.5, 7.5),
        ("7", 7.0),
        (" 7.5 ", 7.5),
        ("1e2", 100.0),
        (300, 300.0),
        (301, 300.0),
        (10**400, 300.0),
        ("inf", 300.0),
        (float("inf"), 300.0),
        (float("-inf"), None),
        ("Tue, 24 Nov 2026 12:00:30 GMT", 30.0),
        ("Tue, 24 Nov 2026 13:00:30 +0100", 30.0),
        ("2026-11-24T12:00:30Z", 30.0),
        ("2026-11-24T12:00:30", 30.0),
        ("2026-11-24T13:00:30+01:00", 30.0),
        ("Tue, 24 Nov 2026 11:00:00 GMT", 1.0),
        ("2020-01-01T00:00:00Z", 1.0),
        ("2999-01-01T00:00:00Z", 300.0),
        ("Tue, 99 Nov 2026 12:00:30 GMT", None),
    ],
)
def test_every_form_of_a_wait_has_one_reading(value: object, seconds: float | None) -> None:
    assert retry_after_s(value, now=NOW) == seconds


def test_the_longer_of_body_and_header_counts() -> None:
    assert retry_after_s(2, "9", now=NOW) == 9.0
    assert retry_after_s(9, "2", now=NOW) == 9.0
    assert retry_after_s(None, "2", now=NOW) == 2.0
    assert retry_after_s(2, "rubbish", now=NOW) == 2.0
    assert retry_after_s(now=NOW) is None


@given(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.datetimes().map(str) | st.lists(st.none())
)
def test_no_value_raises_or_leaves_the_bounds(value: object) -> None:
    found = retry_after_s(value, now=NOW)
    assert found is None or LEAST_S <= found <= LONGEST_S
