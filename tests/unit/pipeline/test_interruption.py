"""What was asked of a photo that could not be stopped is done at the first step where it can be, and not before."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.unit.core.test_photo_events import PHOTO
from worker.core.photo import STEP_OF, UNPAID, Stage
from worker.pipeline.interruption import interruption

NOTE = '{"why":"paused","note":"sold","by":"ada"}'


@pytest.mark.parametrize("stage", sorted(STEP_OF))
@pytest.mark.parametrize("cancel", ["keep", "drop"])
def test_a_cancelled_photo_ends_where_nothing_is_paid_or_its_paid_result_is_to_be_dropped(
    stage: Stage, cancel: str
) -> None:
    step = interruption(replace(PHOTO, stage=stage, cancel=cancel))
    if stage in UNPAID or (stage is Stage.STORING and cancel == "drop"):
        assert step is not None
        assert step.stage is Stage.CANCELLED
        assert json.loads(step.event or "")["data"]["paid"] is (stage is Stage.STORING)
        assert "job_id" not in step.drop, "whoever wants it after all goes on with its job"
    else:
        assert step is None


@pytest.mark.parametrize("stage", sorted(STEP_OF))
def test_a_paused_photo_is_parked_only_where_nothing_is_paid(stage: Stage) -> None:
    step = interruption(replace(PHOTO, stage=stage, pause=NOTE))
    if stage in UNPAID:
        assert step is not None
        assert (step.stage, step.error_code, step.error_message) == (Stage.PARKED, "paused", "by ada: sold")
        assert json.loads(step.fields["parked_for"])["from"] == stage
    else:
        assert step is None


def test_a_photo_that_nobody_asked_anything_of_goes_its_way() -> None:
    assert all(interruption(replace(PHOTO, stage=stage)) is None for stage in Stage)


def test_of_a_photo_that_was_paused_and_cancelled_the_cancellation_counts() -> None:
    step = interruption(replace(PHOTO, stage=Stage.INGESTED, cancel="keep", pause=NOTE))
    assert step is not None
    assert step.stage is Stage.CANCELLED
