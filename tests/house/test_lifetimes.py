"""The check that every story ends with finds keys that nobody documented and keys that would stay for ever."""

from __future__ import annotations

import pytest

from tests.lifetimes import undocumented

ROOT = "sc1:{default}:"


@pytest.mark.parametrize(
    ("key", "lifetime", "state", "fine"),
    [
        ("stages", -1, None, True),
        ("due:poll_ingest", -1, None, True),
        ("grants:generations", 20_000, None, True),
        ("grants:generations", -1, None, False),
        ("inbox", -1, None, True),
        ("inbox:gen_1", -1, None, False),
        ("p:a", -1, "generating", True),
        ("p:a", -1, "done", False),
        ("p:a", 1_000, "done", True),
        ("o:a", -1, "failed", False),
        ("l:a", -1, "1", True),
        ("l:a", -1, "0", False),
        ("something", 1_000, None, False),
    ],
)
def test_a_key_is_as_the_table_says(key: str, lifetime: int, state: str | None, fine: bool) -> None:
    assert (undocumented({ROOT + key: lifetime}, {ROOT + key: state}) == []) == fine


def test_a_key_outside_any_account_is_told() -> None:
    assert undocumented({"sc-elsewhere": 1}, {}) == ["worker/keys.py does not name sc-elsewhere"]
