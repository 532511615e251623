"""Times as others write them, and whose a job is."""

from __future__ import annotations

import pytest

from worker.core.claim import Claim, claim
from worker.core.moments import moment_ms, parse_ms, span_ms

DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-02T00:00:00Z", DAY_MS),
        ("1970-01-02T01:00:00+01:00", DAY_MS),
        ("1970-01-02", DAY_MS),
        ("1970-01-02 00:00:00", DAY_MS),
        ("1970-01-02T00:00:00.123456Z", DAY_MS + 123),
        ("1700000000", 1_700_000_000_000),
        ("1700000000123", 1_700_000_000_123),
        ("", None),
        (None, None),
        ("yesterday", None),
        ("12", None),
        ("99999-01-01", None),
    ],
)
def test_a_time_of_the_apis_is_read_or_unknown(text: str | None, ms: int | None) -> None:
    assert parse_ms(text) == ms


def test_an_operator_means_a_moment_or_so_long_ago() -> None:
    assert moment_ms("2d", 10 * DAY_MS) == 8 * DAY_MS
    assert moment_ms("1.5h", DAY_MS) == DAY_MS - 5_400_000
    assert moment_ms("1970-01-03", 0) == 2 * DAY_MS
    assert span_ms("30d") == 30 * DAY_MS
    for wrong in ("soon", "-3d", "3w", ""):
        with pytest.raises(ValueError, match="write it like"):
            moment_ms(wrong, 0)
    with pytest.raises(ValueError, match="longer than time is counted"):
        moment_ms("9999999999999d", 0)
    with pytest.raises(ValueError, match="no length of time"):
        span_ms("2026-01-01")


@pytest.mark.parametrize(
    ("asset", "reference", "job_asset", "job_reference", "expected"),
    [
        ("a", "r", "a", "r", Claim.CERTAIN),
        ("a", "r", None, "r", Claim.CERTAIN),
        ("a", "r", "b", "r", Claim.NO),
        ("a", "r", "a", "other", Claim.NO),
        ("a", "r", "a", None, Claim.POSSIBLE),
        ("a", None, "a", "other", Claim.POSSIBLE),
        (None, None, None, None, Claim.POSSIBLE),
        ("a", "r", "b", None, Claim.NO),
    ],
)
def test_a_job_is_a_creates_own_by_its_reference_and_never_against_its_source(
    asset: str | None, reference: str | None, job_asset: str | None, job_reference: str | None, expected: Claim
) -> None:
    how, why = claim(asset=asset, reference=reference, job_asset=job_asset, job_reference=job_reference)
    assert how is expected
    assert why
