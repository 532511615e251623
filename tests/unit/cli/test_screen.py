"""The screen of `watch`: it fits whatever its size, shows what matters first, and obeys nobody's ids."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from tests.unit.cli.conftest import budget, prospect, snapshot, view, working_worker
from worker.cli.panels import Panel, shares
from worker.cli.screen import Moment, screen
from worker.cli.watching import Lines, Rate
from worker.core.forecast import Waiting
from worker.core.photo import Stage
from worker.katalo.accounting import UsageSummary
from worker.ledger.snapshot import PauseView
from worker.ledger.usage import UsageRead

NASTY = "[/red]\x1b[31m\n" + "x" * 300
PARTNERS = {f"partner {n:02}": {Stage.ACCEPTED: 100 - n, Stage.DONE: 7} for n in range(30)}
BUSY = Moment(
    snapshot=snapshot(
        stages={Stage.ACCEPTED: 100_000, Stage.GENERATING: 48, Stage.DONE: 1_234, Stage.FAILED: 2},
        partners=PARTNERS,
        slots_used=48,
        leases=12,
        budgets=(budget(), budget(route="source_assets"), budget(route="generation_reads", paused_ms=1500)),
        workers=(working_worker(),),
        leader="one@host",
    ),
    prospect=prospect(*(Waiting(priority=0, partner=name, photos=90) for name in PARTNERS)),
    rate_per_min=46.23,
    failures=tuple(view(f"L{n}", NASTY, Stage.FAILED, error_code="bad_source", error_message=NASTY) for n in range(8)),
)
MANY = [replace(BUSY, snapshot=replace(BUSY.snapshot, account=f"account-{n}")) for n in range(20)]


def drawn(moments: list[Moment], width: int, height: int, trouble: str | None = None) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    console.print(screen(moments, width=width, height=height, trouble=trouble))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().split("\n")[:-1]


@pytest.mark.parametrize("moments", [[BUSY], MANY], ids=["one", "many"])
@settings(max_examples=20, deadline=None)
@given(width=st.integers(20, 200), height=st.integers(12, 90))
def test_it_has_never_more_lines_or_columns_than_the_terminal(moments: list[Moment], width: int, height: int) -> None:
    lines = drawn(moments, width, height, "Redis is away")
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    assert not any("\x1b[31m" in line for line in lines)


def test_80_by_24_shows_stages_slots_rate_budgets_partners_end_and_failures() -> None:
    shown = "\n".join(drawn([BUSY], 80, 24))
    for part in (
        *("account default", "one@host leads", "waiting 100,000", "generating 48", "done 1,234", "failed 2"),
        *("slots 48/50", "12 at work", "46.2 photos/min", "left", "jobs created", "7/120", "1.5 s"),
        *("partner 00", "of 30)", "bad_source"),
    ):
        assert part in shown


def test_a_narrow_screen_leaves_out_columns_before_it_cuts_names() -> None:
    shown = "\n".join(drawn([BUSY], 50, 24))
    assert "partner 00" in shown
    assert "done in" in shown
    assert "held" not in shown
    assert "waiting 100,000" in shown


def test_several_accounts_have_a_line_each() -> None:
    shown = drawn(MANY, 80, 24)
    assert sum(line.startswith("account-") for line in shown) >= 9
    assert any("account (" in line and "of 20)" in line for line in shown)


def test_what_stands_still_says_so() -> None:
    pause = PauseView(partner=None, since_ms=0, reason="stocktaking", by="eve")
    shown = "\n".join(drawn([replace(BUSY, snapshot=replace(BUSY.snapshot, pauses=(pause,)))], 80, 24))
    assert "stocktaking" in shown
    assert "stands still" in shown


def test_no_time_is_promised_to_who_has_no_turns_and_their_share_is_the_others() -> None:
    pause = PauseView(partner="b", since_ms=0, reason="stocktaking", by="eve")
    picture = replace(
        BUSY.snapshot, partners={name: {Stage.ACCEPTED: 90} for name in "ab"}, pauses=(pause,), stages={}, leases=0
    )
    waiting = tuple(Waiting(priority=0, partner=name, photos=photos) for name, photos in (("a", 90), ("b", 90_000)))
    moment = replace(BUSY, snapshot=picture, prospect=prospect(*waiting), failures=())
    assert moment.eta_s == max(one.done_ms for one in prospect(waiting[0]).partners().values()) / 1000
    shown = drawn([moment], 100, 30)
    [a] = [line.split() for line in shown if line.startswith("a ")]
    [b] = [line.split() for line in shown if line.startswith("b ")]
    assert a[-2] == "100%"
    assert b[-2:] == ["0%", "waits"]
    only_b = replace(moment, prospect=prospect(waiting[1]))
    assert only_b.eta_s is None
    assert any(line.endswith("stands still") for line in map(str.rstrip, drawn([only_b], 100, 30)))


def test_panels_take_turns_and_a_head_costs_a_line() -> None:
    panels = [Panel(columns=("a",), rows=(("x",),) * rows) for rows in (1, 50, 3)]
    assert shares(panels, 10) == [1, 3, 3]
    assert shares(panels, 3) == [1, 0, 0]
    assert shares(panels, 100) == [1, 50, 3]


@pytest.mark.parametrize(
    ("samples", "rate"),
    [
        ([(0, 10)], None),
        ([(0, 10), (30_000, 40)], 60.0),
        ([(0, 10), (60_000, 10), (90_000, 40)], 60.0),
        ([(0, 10), (1_000, 5)], None),
        ([(9_000, 10), (1_000, 12)], None),
        ([(5, 1), (5, 2)], None),
    ],
)
def test_the_rate_is_that_of_the_last_minute(samples: list[tuple[int, int]], rate: float | None) -> None:
    meter = Rate()
    assert [meter.measured(*sample) for sample in samples][-1] == rate


def test_lines_tell_of_a_trouble_once_and_of_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(as_json=False)
    for trouble in (None, "Redis is away", "Redis is away", None, None):
        lines.show([BUSY], trouble)
    first, said, again = capsys.readouterr().out.splitlines()
    assert first == again
    assert said == "Redis is away"
    assert first.startswith("1970-01-01T00:16:40Z  accepted 100000 ")
    assert "46.2 photos/min" in first


def test_a_json_line_has_rate_end_and_failures(capsys: pytest.CaptureFixture[str]) -> None:
    summary = UsageSummary(enabled=True, raw={}, usage={"included": Decimal("1E+4")})
    read = replace(BUSY.snapshot, usage=UsageRead(summary=summary, read_ms=1))
    Lines(as_json=True).show([replace(BUSY, snapshot=read)], None)
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert found["rate_per_min"] == 46.23
    assert found["usage"]["summary"]["usage"] == {"included": "10000"}
    assert found["eta_s"] > 0
    assert found["failures"][0]["error_code"] == "bad_source"
    assert found["outlooks"]["partner 00"]["share"] > 0
