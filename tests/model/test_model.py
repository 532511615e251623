"""The ledger and flow control against their model, in orders of events that nobody thought of."""

from __future__ import annotations

import os
from functools import partial

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.machine import LedgerMachine

#: `make test` tries the same histories every time; `make model` tries others, for as long as it is told.
EXAMPLES, STEPS = 60, 40
_COMMON = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck), "print_blob": False}
PROFILES = {
    "short": settings(max_examples=EXAMPLES, stateful_step_count=STEPS, derandomize=True, **_COMMON),
    "long": settings(max_examples=int(os.environ.get("MODEL_EXAMPLES", "3000")), stateful_step_count=80, **_COMMON),
}


@pytest.mark.timeout(0)
def test_redis_holds_what_the_model_says_whatever_happens_in_whatever_order(redis_url: str) -> None:
    profile = PROFILES[os.environ.get("HYPOTHESIS_PROFILE", "short")]
    run_state_machine_as_test(partial(LedgerMachine, redis_url), settings=profile)
