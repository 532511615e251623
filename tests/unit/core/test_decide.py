"""What follows each outcome: held for every stage, cause and history that hypothesis finds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.backoff import LONGEST_MS, retry_delay_ms
from worker.core.decide import (
    DENIED_READS,
    MAX_ATTEMPTS,
    PATIENT_TRIES,
    REPLAY_HORIZON_MS,
    Rules,
    after_store_trouble,
    after_trouble,
)
from worker.core.photo import ENDED, HELD, STEP_OF, TRANSITIONS, Photo, Stage
from worker.core.request import Request
from worker.core.step import Ending, Step
from worker.core.trouble import Cause, Trouble

NOW_MS = 1_800_000_000_000

working = st.sampled_from(sorted(STEP_OF))


def troubles_of(*causes: Cause, refused: st.SearchStrategy[bool] | None = None) -> st.SearchStrategy[Trouble]:
    """Return troubles of the given causes, all of them when none is given."""
    return st.builds(
        Trouble,
        cause=st.sampled_from(causes or tuple(Cause)),
        code=st.just("code"),
        message=st.just("message"),
        refused=st.booleans() if refused is None else refused,
        retry_after_ms=st.integers(0, 300_000),
    )


troubles = troubles_of()


def photo_in(stage: Stage, *, attempt: int = 0, sent_ago_ms: int = 0, ingest_try: int = 0) -> Photo:
    """Return a photo in `stage`; in `creating` its create was first sent `sent_ago_ms` ago."""
    return Photo(
        key="key",
        account="default",
        listing_id="listing",
        photo_id="photo",
        partner="acme",
        metadata={},
        request=Request(source="/a.jpg"),
        fingerprint="f",
        revision=1,
        stage=stage,
        token="1",
        now_ms=NOW_MS,
        accepted_ms=NOW_MS,
        attempt=attempt,
        ingest_try=ingest_try,
        idempotency_key="generation-key" if stage is Stage.CREATING else None,
        body="{}" if stage is Stage.CREATING else None,
        sent_ms=NOW_MS - sent_ago_ms if stage is Stage.CREATING else None,
    )


def decide(photo: Photo, trouble: Trouble, jitter: float = 0.5) -> Step:
    """Decide with the default rules."""
    return after_trouble(photo, trouble, jitter=jitter, rules=Rules())


@given(working, troubles, st.integers(0, 50), st.integers(0, 2 * REPLAY_HORIZON_MS), st.floats(0, 0.999))
def test_every_outcome_is_a_transition_that_the_state_machine_knows(
    stage: Stage, trouble: Trouble, attempt: int, sent_ago_ms: int, jitter: float
) -> None:
    step = decide(photo_in(stage, attempt=attempt, sent_ago_ms=sent_ago_ms), trouble, jitter)
    # A create that is on its way has passed through `creating` by the time it is settled.
    allowed = TRANSITIONS[Stage.CREATING] | {Stage.CREATING} if stage is Stage.INGESTED else TRANSITIONS[stage]
    assert step.stage is stage or step.stage in allowed
    assert step.delay_ms >= 0


@given(working, troubles_of(Cause.FLOW_CONTROL, Cause.ACCOUNT, Cause.DOWN, refused=st.just(True)), st.integers(0, 50))
def test_flow_control_account_trouble_and_a_service_that_is_down_spend_no_attempt_and_fail_nothing(
    stage: Stage, trouble: Trouble, attempt: int
) -> None:
    step = decide(photo_in(stage, attempt=attempt), trouble)
    assert step.ending in {Ending.WAIT, Ending.BACKLOG}
    assert step.stage not in ENDED | HELD
    assert step.delay_ms >= trouble.retry_after_ms


@given(
    troubles_of(*(cause for cause in Cause if cause is not Cause.SOURCE)),
    st.integers(0, 50),
    st.integers(0, 2 * REPLAY_HORIZON_MS),
)
def test_an_unanswered_create_keeps_its_key_and_bytes_or_waits_for_a_person(
    trouble: Trouble, attempt: int, sent_ago_ms: int
) -> None:
    """As long as it is not known that nothing was created, no outcome lets another create happen."""
    step = decide(photo_in(Stage.CREATING, attempt=attempt, sent_ago_ms=sent_ago_ms), trouble)
    assert step.stage in {Stage.CREATING, Stage.UNCERTAIN}
    assert not {"body", "idempotency_key", "sent_ms"} & (set(step.drop) | set(step.fields))
    assert not step.release_slot
    if sent_ago_ms >= REPLAY_HORIZON_MS:
        assert step.stage is Stage.UNCERTAIN


@given(troubles, st.integers(0, 100))
def test_a_paid_job_is_read_for_ever_unless_the_api_denies_it(trouble: Trouble, attempt: int) -> None:
    step = decide(photo_in(Stage.GENERATING, attempt=attempt), trouble)
    denied = trouble.cause in {Cause.NOT_THERE, Cause.REJECTED} and attempt >= DENIED_READS
    assert step.stage is (Stage.UNCERTAIN if denied else Stage.GENERATING)


def test_the_slot_goes_back_only_when_the_create_is_known_to_have_been_refused() -> None:
    passing = Trouble(cause=Cause.PASSING, code="c", message="m")
    refused = Trouble(cause=Cause.FLOW_CONTROL, code="c", message="m", refused=True)
    rejected = Trouble(cause=Cause.REJECTED, code="c", message="m", refused=True)
    assert decide(photo_in(Stage.INGESTED), refused).release_slot
    assert decide(photo_in(Stage.INGESTED), rejected).release_slot
    assert not decide(photo_in(Stage.INGESTED), passing).release_slot
    assert not decide(photo_in(Stage.CREATING), refused).release_slot


def test_a_source_that_can_not_be_used_fails_at_once_and_a_passing_trouble_after_all_tries() -> None:
    source = Trouble(cause=Cause.SOURCE, code="source_unusable", message="m")
    passing = Trouble(cause=Cause.PASSING, code="c", message="m")
    assert decide(photo_in(Stage.ACCEPTED), source).stage is Stage.FAILED
    assert decide(photo_in(Stage.ACCEPTED, attempt=MAX_ATTEMPTS - 2), passing).ending is Ending.RETRY
    assert decide(photo_in(Stage.ACCEPTED, attempt=MAX_ATTEMPTS - 1), passing).stage is Stage.FAILED


def test_an_api_that_gives_no_usable_answer_for_hours_fails_no_photo() -> None:
    unanswered = Trouble(cause=Cause.UNANSWERED, code="OutcomeUnknown", message="m")
    waited_ms = 0
    for attempt in range(PATIENT_TRIES - 1):
        step = decide(photo_in(Stage.ACCEPTED, attempt=attempt), unanswered)
        assert (step.ending, step.stage) == (Ending.RETRY, Stage.ACCEPTED)
        waited_ms += step.delay_ms
    assert waited_ms > 3 * 3_600_000
    assert decide(photo_in(Stage.ACCEPTED, attempt=PATIENT_TRIES - 1), unanswered).stage is Stage.FAILED


def test_an_asset_that_has_gone_is_taken_in_again_once_under_new_keys() -> None:
    gone = Trouble(cause=Cause.ASSET_GONE, code="c", message="m", refused=True)
    step = decide(photo_in(Stage.INGESTED), gone)
    assert (step.stage, step.fields) == (Stage.ACCEPTED, {"ingest_try": "1", "create_try": "1"})
    assert step.release_slot
    assert decide(photo_in(Stage.INGESTED, ingest_try=1), gone).stage is Stage.FAILED


def test_a_regeneration_whose_parent_job_has_gone_fails_and_takes_no_source_in() -> None:
    gone = Trouble(cause=Cause.NOT_THERE, code="not_found", message="m", refused=True)
    photo = replace(photo_in(Stage.INGESTED), regeneration=1, parent_job_id="gen_0")
    step = decide(photo, gone)
    assert (step.stage, step.error_code, step.release_slot) == (Stage.FAILED, "not_found", True)
    sent = replace(photo_in(Stage.CREATING), regeneration=1, parent_job_id="gen_0")
    assert decide(sent, gone).stage is Stage.UNCERTAIN, "after an unanswered send a job may exist all the same"


def test_a_store_that_is_away_before_a_create_leaves_the_photo_unsent_and_spends_no_attempt() -> None:
    away = Trouble(cause=Cause.DOWN, code="store_unavailable", message="m")
    step = after_store_trouble(photo_in(Stage.INGESTED), away, jitter=0.5, rules=Rules())
    assert (step.stage, step.ending) == (Stage.INGESTED, Ending.WAIT)


def test_every_stage_that_is_not_final_has_a_step_and_every_stage_has_a_way_out() -> None:
    for stage in Stage:
        assert stage in STEP_OF or stage in ENDED | HELD
        assert TRANSITIONS[stage]


def test_every_stage_can_be_reached_and_can_reach_an_end() -> None:
    reached = {Stage.ACCEPTED}
    while grown := {after for stage in reached for after in TRANSITIONS[stage]} - reached:
        reached |= grown
    assert reached == set(Stage)
    ends = set(ENDED)
    while grown := {stage for stage in Stage if TRANSITIONS[stage] & ends} - ends:
        ends |= grown
    assert ends == set(Stage)


@given(st.integers(0, 10**9), st.floats(0, 0.999), st.integers(0, 300_000))
def test_backing_off_is_bounded_and_never_shorter_than_asked(attempt: int, jitter: float, least: int) -> None:
    delay = retry_delay_ms(attempt, jitter, at_least_ms=least)
    assert max(least, 500) <= delay <= max(least, LONGEST_MS)


@pytest.mark.parametrize("stage", [Stage.STORING, Stage.ANNOUNCING])
def test_a_paid_job_that_can_not_be_stored_or_told_is_marked_for_a_replay_that_buys_nothing(stage: Stage) -> None:
    passing = Trouble(cause=Cause.PASSING, code="c", message="m")
    step = decide(photo_in(stage, attempt=MAX_ATTEMPTS), passing)
    assert (step.stage, step.fields) == (Stage.FAILED, {"resume": "1"})
    assert "job_id" not in step.drop
