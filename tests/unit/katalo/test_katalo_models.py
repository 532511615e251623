"""An answer is understood in every reading that the contract leaves open, and no shape of it raises anything."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.routes import Route
from worker.katalo.accounting import billing_of, rate_limits_of, usage_of
from worker.katalo.models import Failure, ingest_of, job_of, outputs_of

SIGNED = "https://files.example.com/a.jpg?X-Amz-Signature=5ecret"
OTHER = "https://files.example.com/b.jpg?X-Amz-Signature=5ecret"
LONE_SURROGATE = "\ud800"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
#: Objects of the fields that are read, with anything in them.
names = st.sampled_from(
    [
        "status",
        "ingest_id",
        "job_id",
        "source_asset_id",
        "reference",
        "metadata",
        "outputs",
        "failure",
        "error",
        "url",
        "kind",
        "role",
        "is_primary",
        "primary",
        "alternate",
        "entitlement",
        "access",
        "enabled",
        "usage",
        "jobs",
        "rate_limits",
        "generations",
        "limit",
        "window",
        "events",
        "data",
        "next_cursor",
        "amount_usd",
        "billable",
        "code",
        "message",
        "retryable",
        "retry_after",
        "details",
    ]
)
answers = st.recursive(
    json_values, lambda inner: st.dictionaries(names, inner, max_size=6) | st.lists(inner, max_size=3), max_leaves=20
)


@pytest.mark.parametrize(
    ("answer", "state", "asset"),
    [
        ({"status": "ready", "source_asset_id": "src_1"}, "ready", "src_1"),
        ({"status": "READY ", "source_asset_id": "src_1"}, "ready", "src_1"),
        ({"status": "ready", "source_asset_id": "src_1", "failure": {"code": "stale"}}, "ready", "src_1"),
        ({"status": "ready"}, "pending", None),
        ({"status": "ready", "source_asset_id": ""}, "pending", None),
        ({"status": "ready", "failure": "no picture"}, "failed", None),
        ({"status": "processing", "source_asset_id": "src_1"}, "settling", "src_1"),
        ({"source_asset_id": "src_1"}, "settling", "src_1"),
        ({"status": None, "source_asset_id": "src_1", "failure": None}, "settling", "src_1"),
        ({"status": "queued"}, "pending", None),
        ({}, "pending", None),
        *(({"status": s}, "failed", None) for s in ("failed", "error", "rejected", "expired", "cancelled", "canceled")),
        ({"status": "failed", "source_asset_id": "src_1"}, "failed", "src_1"),
        ({"status": "odd", "source_asset_id": "src_1", "failure": {"code": "bad"}}, "failed", "src_1"),
        ({"status": "odd", "error": "bad"}, "failed", None),
        ({"status": "queued", "failure": {}, "error": ""}, "pending", None),
        ({"status": "queued", "failure": {"code": None, "message": ""}}, "pending", None),
    ],
)
def test_the_state_of_an_ingest(answer: dict[str, Any], state: str, asset: str | None) -> None:
    found = ingest_of(answer | {"ingest_id": "ing_1"})
    assert (found.state, found.source_asset_id, found.ingest_id) == (state, asset, "ing_1")


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("succeeded", "succeeded"),
        ("Succeeded", "succeeded"),
        ("failed", "failed"),
        *(
            (s, "running")
            for s in ("ingesting", "queued", "completed", "success", "error", "cancelled", "", None, 3, {})
        ),
    ],
)
def test_two_states_of_a_job_are_terminal_and_all_else_is_running(status: object, state: str) -> None:
    assert job_of({"job_id": "job_1", "status": status}).state == state


@pytest.mark.parametrize(
    ("outputs", "found"),
    [
        (None, []),
        ([], []),
        ({}, []),
        ("", []),
        ("no address", []),
        (SIGNED, [("primary", SIGNED)]),
        ([SIGNED], [("primary", SIGNED)]),
        ([SIGNED, OTHER], [("primary", SIGNED), ("alternate", OTHER)]),
        *(
            ([{name: SIGNED}], [("primary", SIGNED)])
            for name in ("url", "signed_url", "image_url", "download_url", "href")
        ),
        ([{"url": None, "href": SIGNED}], [("primary", SIGNED)]),
        ({"url": SIGNED}, [("primary", SIGNED)]),
        ({"primary": SIGNED, "alternate": None}, [("primary", SIGNED)]),
        ({"alternate": {"url": OTHER}, "primary": {"url": SIGNED}}, [("primary", SIGNED), ("alternate", OTHER)]),
        ({"primary": {"url": SIGNED}, "alternates": [{"url": OTHER}]}, [("primary", SIGNED), ("alternate", OTHER)]),
        ({"items": [{"url": SIGNED}, {"url": OTHER}]}, [("primary", SIGNED), ("alternate", OTHER)]),
        *(
            (
                [{"url": OTHER, mark: "alternate"}, {"url": SIGNED, mark: "primary"}],
                [("primary", SIGNED), ("alternate", OTHER)],
            )
            for mark in ("kind", "role", "type", "variant")
        ),
        (
            [{"url": OTHER, "is_primary": False}, {"url": SIGNED, "is_primary": True}],
            [("primary", SIGNED), ("alternate", OTHER)],
        ),
        # An unmarked one is never dropped, and takes no role that a neighbour is marked with.
        ([{"url": OTHER}, {"url": SIGNED, "kind": "primary"}], [("primary", SIGNED), ("alternate", OTHER)]),
        ([{"url": SIGNED}, {"url": OTHER, "kind": "alternate"}], [("primary", SIGNED), ("alternate", OTHER)]),
        ([{"url": SIGNED, "type": "image"}], [("primary", SIGNED)]),
        ([{"url": SIGNED, "kind": "hero"}, {"url": OTHER, "kind": 7}], [("primary", SIGNED), ("alternate", OTHER)]),
        (
            [{"url": SIGNED, "kind": "primary"}, {"url": OTHER, "kind": "primary"}, {"url": OTHER}],
            [("primary", SIGNED), ("alternate", OTHER), ("alternate-2", OTHER)],
        ),
        ([{"url": SIGNED}, {"id": "no address"}, None, 3], [("primary", SIGNED)]),
    ],
)
def test_outputs_are_found_in_every_reading(outputs: object, found: list[tuple[str, str]]) -> None:
    assert [(output.role, output.url) for output in outputs_of(outputs)] == found


def test_an_outputs_extras_are_kept_where_they_are() -> None:
    [output] = outputs_of([{"url": SIGNED, "type": "image/png", "expires_at": "2026-11-24T12:00:00Z"}])
    assert (output.media_type, output.expires_at, output.role) == ("image/png", "2026-11-24T12:00:00Z", "primary")


def test_a_signed_url_is_in_no_repr() -> None:
    job = job_of({"status": "failed", "outputs": [SIGNED], "failure": {"message": f"see {SIGNED}", "link": SIGNED}})
    assert "5ecret" not in repr(job)
    assert job.failure is not None
    assert job.failure.message == "see https://files.example.com/a.jpg?***"
    assert job.failure.raw == {"message": f"see {SIGNED}", "link": SIGNED}


@pytest.mark.parametrize(
    ("failure", "found"),
    [
        (None, None),
        ("", None),
        ({}, None),
        ("too dark", (None, "too dark", None)),
        ({"code": "dark", "message": "too dark", "retryable": False}, ("dark", "too dark", False)),
        ({"code": 7, "reason": "too dark", "retryable": "no"}, ("7", "too dark", None)),
        ({"detail": "too dark"}, (None, "too dark", None)),
        (["too dark"], (None, None, None)),
        (True, (None, None, None)),
    ],
)
def test_a_failure_may_be_an_object_or_a_text(failure: object, found: tuple[Any, ...] | None) -> None:
    job = job_of({"status": "failed", "failure": failure})
    assert found == (None if job.failure is None else (job.failure.code, job.failure.message, job.failure.retryable))


def test_ids_are_opaque_and_what_is_none_is_absent() -> None:
    for value in (None, "", "  ", ".", "..", [], {}, True, LONE_SURROGATE):
        assert job_of({"job_id": value}).job_id is None
    assert job_of({"job_id": 17}).job_id == "17"
    assert job_of({"job_id": "job/ä ?#"}).job_id == "job/ä ?#"


def test_only_an_explicit_false_means_that_the_api_may_not_be_used() -> None:
    for answer in (
        {},
        {"entitlement": None},
        {"entitlement": "basic"},
        {"entitlement": {"overage": False}},
        {"access": {}},
    ):
        assert usage_of(answer).enabled is None
    for answer in ({"entitlement": True}, {"entitlement": {"enabled": True}}, {"access": {"enabled": True}}):
        assert usage_of(answer).enabled is True
    for answer in ({"entitlement": False}, {"access": {"enabled": False}}, {"entitlement": {"api_access": False}}):
        assert usage_of(answer).enabled is False


def test_the_numbers_of_a_period_are_kept_as_given() -> None:
    found = usage_of(
        {
            "billing_period": {"start_at": "2026-11-01", "end_at": "2026-12-01"},
            "usage": {"included": 100, "consumed": "12.5", "note": "x", "flag": True},
            "jobs": {"total": 3, "by_state": {"failed": 1}},
        }
    )
    assert (found.period_start, found.period_end) == ("2026-11-01", "2026-12-01")
    assert found.usage == {"included": Decimal(100), "consumed": Decimal("12.5")}
    assert found.jobs == {"total": Decimal(3)}


@pytest.mark.parametrize(
    ("shape", "limits"),
    [
        (None, {}),
        ([], {}),
        ({"generations": 120}, {"generations": "120/60s"}),
        ({"generations_per_minute": "120"}, {"generations": "120/60s"}),
        ({"Generation_Reads": {"limit": 1200, "window_seconds": 60}}, {"generation_reads": "1200/60s"}),
        ({"usage": {"requests": 5, "window": "minute"}}, {"usage": "5/60s"}),
        ({"billing": {"per_minute": 5}}, {"billing": "5/60s"}),
        ({"regenerate": {"limit": 7, "window_s": 10}}, {"regenerate": "7/10s"}),
        ({"in_flight": 50}, {"in_flight": "50"}),
        ({"max_in_flight_jobs": {"limit": 20}}, {"in_flight": "20"}),
        ({"generations": {"limit": 7, "window": "fortnight"}}, {}),
        ({"generations": 0, "usage": -1, "billing": 1.5, "regenerate": True}, {}),
        ({"generations": None, "unheard_of": 3, "per_key": {"generations": 3}}, {}),
    ],
)
def test_only_limits_that_are_recognised_are_taken(shape: object, limits: dict[str, str]) -> None:
    assert rate_limits_of(shape) == limits
    assert set(limits) <= {*Route, "in_flight"}


@pytest.mark.parametrize("name", ["events", "data", "items", "billing_events", "a_name_of_next_year"])
def test_the_ledgers_list_may_have_any_name(name: str) -> None:
    page = billing_of({name: [{"event_id": "e1"}, "rubbish"], "next_cursor": "c1"})
    assert [event.event_id for event in page.events] == ["e1"]
    assert page.next_cursor == "c1"


def test_a_list_of_something_else_is_not_taken_for_the_ledger() -> None:
    assert [e.event_id for e in billing_of({"warnings": [], "events": [{"event_id": "e1"}]}).events] == ["e1"]
    assert [e.event_id for e in billing_of([{"event_id": "e1"}]).events] == ["e1"]


@pytest.mark.parametrize("page", [{}, {"next_cursor": None}, {"next_cursor": ""}, [], None, {"next_cursor": {}}])
def test_without_a_cursor_it_is_the_last_page(page: object) -> None:
    assert billing_of(page).next_cursor is None


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        ("0.10", Decimal("0.10")),
        (0.1, Decimal("0.1")),
        (3, Decimal(3)),
        ("-1.5", Decimal("-1.5")),
        *(
            (value, None)
            for value in (
                None,
                "",
                "free",
                True,
                "NaN",
                "sNaN",
                "Infinity",
                float("nan"),
                [],
                "1e999999",
                "1e9999999999999999999",
            )
        ),
    ],
)
def test_money_is_exact_and_absent_money_is_unknown(value: object, amount: Decimal | None) -> None:
    [event] = billing_of({"events": [{"amount_usd": value}]}).events
    assert event.amount_usd == amount


@given(answers)
def test_no_shape_of_an_answer_raises_and_all_of_its_text_can_be_stored(answer: object) -> None:
    found = answer if isinstance(answer, dict) else {"outputs": answer, "failure": answer, "rate_limits": answer}
    job, ingest = job_of(found), ingest_of(found)
    usage_of(found)
    billing_of(answer)
    roles = [output.role for output in job.outputs]
    assert len(set(roles)) == len(roles)
    for text in (job.job_id, job.status_text, job.reference, ingest.source_asset_id, *(o.url for o in job.outputs)):
        (text or "").encode()
    if job.failure is not None:
        assert isinstance(job.failure, Failure)
        f"{job.failure.code}{job.failure.message}".encode()
