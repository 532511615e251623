"""What is made of a webhook's body: taken at its word only when it is plain, and no shape of it raises."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.katalo.notice import COMPLETED, MAX_NAME_CHARACTERS, Notice, UnreadableNotice, notice_of

OUTPUTS = [{"url": "https://api/a?signature=1", "kind": "primary"}]
EVENT = {"event_type": COMPLETED, "job_id": "gen_1", "source_asset_id": "src_1", "reference": "r", "outputs": OUTPUTS}


def notice(**changes: Any) -> Notice:
    return notice_of(json.dumps(EVENT | changes).encode())


def test_a_plain_completion_has_the_jobs_outputs() -> None:
    found = notice()
    assert (found.event_type, found.job_id, found.reference, found.source_asset_id) == (
        COMPLETED, "gen_1", "r", "src_1",
    )  # fmt: skip
    assert [(output.role, output.url) for output in found.outputs] == [("primary", "https://api/a?signature=1")]


@pytest.mark.parametrize(
    "changes",
    [
        {"failure": None, "error": "", "status": None},
        {"failure": {"code": None, "message": None}},
        {"status": "succeeded"},
        {"status": " Succeeded "},
        {"status": "completed"},
        {"event_type": " Generation.Completed "},
        {"metadata": None, "reference": None, "source_asset_id": None},
        {"outputs": {"primary": "https://api/a", "alternate": {"signed_url": "https://api/b"}}},
        {"outputs": ["https://api/a"]},
        {"job_id": 17},
        {"created_at": "today", "attempt": 3},
    ],
)
def test_what_says_nothing_against_it_leaves_a_completion_plain(changes: dict[str, Any]) -> None:
    assert notice(**changes).outputs


@pytest.mark.parametrize(
    "changes",
    [
        {"event_type": "generation.failed"},
        {"event_type": "generation.archived"},
        {"event_type": None},
        {"event_type": ["generation.completed"]},
        {"failure": {"code": "quality_rejected"}},
        {"failure": "no result"},
        {"status": "failed"},
        {"status": "processing"},
        {"outputs": []},
        {"outputs": None},
        {"outputs": [{"width": 3}]},
        {"outputs": 7},
        {"job_id": None},
        {"job_id": "x" * (MAX_NAME_CHARACTERS + 1)},
    ],
)
def test_on_any_doubt_the_job_is_to_be_read(changes: dict[str, Any]) -> None:
    assert notice(**changes).outputs == ()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"event_type=generation.completed", "no JSON"),
        (b"[" * 100_000, "too deeply"),
        (b"9" * 5_000, "no JSON"),
        (b"[]", "list"),
        (b'"text"', "str"),
        (b"null", "NoneType"),
        (b"NaN", "float"),
    ],
)
def test_a_body_that_is_no_object_is_told_from_one_that_is(body: bytes, said: str) -> None:
    with pytest.raises(UnreadableNotice, match=said):
        notice_of(body)


@pytest.mark.parametrize("name", ["job_id", "reference", "source_asset_id"])
@pytest.mark.parametrize("value", ["", "  ", "x" * 300, {"a": 1}, [1], True, 1.5, "\ud800"])
def test_what_can_name_nothing_is_left_out(name: str, value: Any) -> None:
    assert getattr(notice(**{name: value}), name) in {None, "?"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*EVENT, "failure", "status", "error"]), json_values))
def test_no_object_raises_and_nothing_of_it_is_unbounded(event: dict[str, Any]) -> None:
    found = notice_of(json.dumps(event).encode())
    names = (found.event_type, found.job_id or "", found.reference or "", found.source_asset_id or "")
    assert all(len(name) <= MAX_NAME_CHARACTERS for name in names)
    assert "".join(names).encode().decode() == "".join(names), "it can be sent to Redis"
