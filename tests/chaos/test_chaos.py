"""The chaos suite in short: every kind of fault once, on a real fleet of two releases; `make chaos` is the long run."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from chaos.arena import faketime_library
from chaos.plan import Fault
from chaos.releases import newest_release, unpacked
from chaos.report import report
from chaos.run import Task, run

SEED = 20_261_124


@pytest.mark.timeout(600)
def test_every_promise_holds_when_all_faults_come_in_one_run(tmp_path: Path) -> None:
    assert faketime_library() is not None, "libfaketime is not installed for this machine: clocks would not jump"
    task = Task(
        seed=SEED,
        photos=160,
        workers=4,
        minutes=0,
        quick_store=False,
        earlier=unpacked(newest_release(), tmp_path / "earlier"),
    )
    outcome = run(task, tmp_path / "run", functools.partial(print, flush=True))
    assert set(outcome.strikes) == set(Fault), "every kind of fault came"
    assert outcome.holds, report(task, outcome)
