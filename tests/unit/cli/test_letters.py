"""Sinks on the command line: how they are, their dead letters, and the end of a run that waits for them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.unit.cli.conftest import FakeLedger, snapshot
from worker.cli.checks import outboxes
from worker.cli.delivering import PATIENCE_S, deliver_rest
from worker.cli.finding import Mark
from worker.ledger.outbox import DeadLetter
from worker.ledger.snapshot import SinkView


def sink(name: str = "crm", **changes: Any) -> SinkView:
    plain = {
        "name": name,
        "configured": True,
        "waiting": 0,
        "listings": 0,
        "failing": 0,
        "oldest_ms": 0,
        "dead": 0,
        "delivered_total": 7,
        "dead_total": 0,
        "times_down": 0,
        "paused_ms": 0,
        "reason": None,
        "pump": "one@host",
    }
    return SinkView(**plain | changes)


def letter(subject: str) -> DeadLetter:
    event = json.dumps({"id": f"id of {subject}", "type": "stagecrew.photo.staged.v1", "subject": subject})
    return DeadLetter(entry="1800000000000-0", listing="key", event=event, reason="it refuses", tries=3)


@dataclass
class FakeOutbox:
    """Dead letters in memory."""

    letters: dict[str, list[DeadLetter]] = field(default_factory=dict)
    calls: list[tuple[Any, ...]] = field(default_factory=list)

    async def dead(self, name: str, *, limit: int | None = None) -> list[DeadLetter]:
        return self.letters.get(name, [])[:limit]

    async def replay(self, name: str, *, listings: Any = ()) -> int:
        self.calls.append(("replay", name, list(listings)))
        return len(self.letters.get(name, [])) if not listings or "L1" in listings else 0

    async def forget(self, name: str, *, waiting: bool) -> int:
        self.calls.append(("forget", name, waiting))
        return len(self.letters.get(name, []))


@pytest.fixture
def outbox(ledger: FakeLedger) -> FakeOutbox:
    ledger.picture = snapshot(sinks=(sink(dead=2), sink("gone", configured=False, waiting=4)))
    ledger.outbox = FakeOutbox({"crm": [letter("L1/a"), letter("L1")]})
    return ledger.outbox


def test_failed_lists_the_dead_letters_of_a_sink(stagecrew, outbox):
    said = stagecrew("failed", "--sink", "crm").output
    for text in (
        "L1/a",
        "id of L1/a",
        "stagecrew.photo.staged.v1",
        "it refuses",
        "2 dead letters",
        "replay --sink crm",
    ):
        assert text in said
    [found, _] = json.loads(stagecrew("failed", "--sink", "crm", "--json").stdout)
    assert (found["subject"], found["tries"], found["event"]["id"]) == ("L1/a", 3, "id of L1/a")
    assert "gone has no dead letters" in stagecrew("failed", "--sink", "gone").output


@pytest.mark.parametrize("command", ["failed", "replay"])
def test_a_sink_that_is_not_there_is_told_with_those_that_are(stagecrew, outbox, command):
    result = stagecrew(command, "--sink", "nobody")
    assert result.exit_code == 2
    assert "there is no sink nobody; there is crm, gone" in result.stderr


def test_without_sinks_it_says_that_a_stream_keeps_its_messages(stagecrew):
    assert "none but the stream" in stagecrew("failed", "--sink", "stream").stderr


def test_replay_sends_a_sinks_dead_letters_again_and_no_photo(stagecrew, outbox, ledger):
    assert "2 messages sent to crm again" in stagecrew("replay", "--sink", "crm").output
    assert stagecrew("replay", "--sink", "crm", "L1").exit_code == 0
    nothing = stagecrew("replay", "--sink", "crm", "L2")
    assert nothing.exit_code == 1
    assert "no dead letters of these listings" in nothing.stderr
    assert outbox.calls == [("replay", "crm", []), ("replay", "crm", ["L1"]), ("replay", "crm", ["L2"])]
    outbox.letters.clear()
    assert "there are no dead letters of crm" in stagecrew("replay", "--sink", "crm").stderr
    assert ledger.replayed == []


def test_replay_to_a_sink_that_is_not_in_the_settings_says_so(stagecrew, outbox):
    result = stagecrew("replay", "--sink", "gone")
    assert result.exit_code == 2
    assert "not in STAGECREW_COMPLETIONS_URL" in result.stderr
    assert outbox.calls == []


def test_forget_drops_dead_letters_and_of_a_removed_sink_everything(stagecrew, outbox):
    assert "2 messages dropped" in stagecrew("failed", "--sink", "crm", "--forget").output
    assert "gone is forgotten" in stagecrew("failed", "--sink", "gone", "--forget").output
    assert outbox.calls == [("forget", "crm", False), ("forget", "gone", True)]
    assert stagecrew("failed", "--forget").exit_code == 2


def test_status_shows_every_sink(stagecrew, ledger):
    ledger.picture = snapshot(
        sinks=(
            sink("well"),
            sink("down", times_down=3, paused_ms=12_000, waiting=5, oldest_ms=65_000, reason="it can't be reached"),
            sink("slow", failing=2, reason="the receiver answered 500"),
            sink("gone", configured=False, dead=1),
            sink("over", configured=False),
            sink("lonely", pump=None),
        )
    )
    said = stagecrew("status").output
    for text in (
        "delivered by one@host",
        "DOWN: it can't be reached; tried again in 0:12",
        "1:05",
        "2 listings waiting to be tried again: the receiver answered 500",
        "not in STAGECREW_COMPLETIONS_URL",
        "no worker delivers",
    ):
        assert text in said
    assert "over" not in said
    assert json.loads(stagecrew("status", "--json").stdout)["sinks"][0]["delivered_total"] == 7


@pytest.mark.parametrize(
    ("view", "mark", "said"),
    [
        (sink(times_down=1, waiting=5, reason="no way"), Mark.BAD, "down, 5 messages wait: no way"),
        (sink(failing=1, listings=1, waiting=1, reason="500"), Mark.NOTE, "1 listing waiting to be tried again: 500"),
        (sink(waiting=1, oldest_ms=120_000), Mark.BAD, "the oldest for 2:00; start workers"),
        (sink(dead=1), Mark.BAD, "`stagecrew replay --sink crm` sends them again"),
        (sink(configured=False, waiting=1), Mark.BAD, "`stagecrew failed --sink crm --forget` drops them"),
    ],
)
def test_doctor_says_what_is_wrong_with_a_sink(view, mark, said):
    [finding] = outboxes(snapshot(sinks=(view,)))
    assert finding.mark is mark
    assert said in str(finding)


@pytest.mark.parametrize("view", [sink(), sink(waiting=3, oldest_ms=900), sink(configured=False)])
def test_doctor_says_nothing_of_a_sink_that_is_well(view):
    assert outboxes(snapshot(sinks=(view,))) == []


@pytest.fixture
def rest(ledger: FakeLedger):
    """Wait for the rest while the sinks go through these pictures, a second apart."""

    def run(*pictures: SinkView, interrupted: bool = False) -> tuple[list[str], int]:
        left, slept = list(pictures), 0

        async def pause(_: float) -> None:
            nonlocal slept
            slept += 1
            if len(left) > 1:
                left.pop(0)
            ledger.picture = snapshot(sinks=(left[0],))

        async def wait() -> list[str]:
            event = asyncio.Event()
            if interrupted:
                event.set()
            ledger.picture = snapshot(sinks=(left[0],))
            return await deliver_rest(ledger, event, now_s=lambda: float(slept), pause=pause)

        return asyncio.run(wait()), slept

    return run


def test_the_end_of_a_run_waits_until_its_messages_are_delivered(rest):
    assert rest(sink(waiting=2, listings=1), sink(waiting=1, listings=1), sink()) == ([], 2)


def test_the_end_of_a_run_does_not_wait_for_a_sink_that_is_down_and_says_what_is_left(rest):
    [line], slept = rest(sink(waiting=2, listings=1, times_down=1, reason="no connection"))
    assert slept == 0
    assert line == "2 messages still to be delivered to crm (no connection); the next run goes on with that"


def test_the_end_of_a_run_waits_no_longer_than_is_bearable_and_not_when_interrupted(rest):
    lines, slept = rest(sink(waiting=2, listings=1))
    assert (len(lines), slept) == (1, int(PATIENCE_S) + 1)
    assert rest(sink(waiting=2, listings=1), interrupted=True)[1] == 0
