"""The parts of a run: what ends it, what it writes, what it says."""

from __future__ import annotations

import asyncio
import json

import pytest
from redis.exceptions import RedisError

from tests.unit.cli.conftest import FakeLedger, new_listing, snapshot, view
from worker.cli.following import PAUSED_S, REDIS_AWAY_S, Ending, follow
from worker.cli.journal import Journal
from worker.cli.page import photos_of, render_page
from worker.cli.progress import Lines, Picture, plain_line
from worker.cli.summary import exit_code, summary
from worker.cli.tracker import Outcome, PhotoName, Tracker
from worker.core.events import FAILED, LISTING_COMPLETED, STAGED
from worker.core.identity import fingerprint
from worker.core.photo import Stage
from worker.core.request import Request
from worker.ledger.snapshot import Enqueued, Verdict
from worker.storage.errors import SourceError


def message(kind: str, listing_id: str, photo_id: str, **data: object) -> str:
    mark = fingerprint(Request(source=f"https://photos.test/{photo_id}.jpg"))
    return json.dumps(
        {"type": kind, "data": {"listing_id": listing_id, "photo_id": photo_id, "fingerprint": mark, **data}}
    )


def tracking(*answers: tuple[str, Verdict, Stage]) -> Tracker:
    """A tracker of one listing `L` with these photos."""
    tracker = Tracker()
    listing = new_listing("L", *(photo for photo, _, _ in answers))
    enqueued = [Enqueued(listing_id="L", photo_id=p, verdict=v, stage=s) for p, v, s in answers]
    tracker.enqueued([listing], enqueued)
    return tracker


NEW = (Verdict.ACCEPTED, Stage.ACCEPTED)


class TestTracker:
    def test_a_photo_that_was_done_before_is_not_open(self):
        tracker = tracking(("a", Verdict.SAME, Stage.DONE), ("b", *NEW))
        assert (tracker.total, tracker.open, tracker.count(Stage.DONE, before=True)) == (2, 1, 1)

    def test_a_message_ends_a_photo(self):
        tracker = tracking(("a", *NEW))
        tracker.event(message(STAGED, "L", "a"))
        assert (tracker.open, tracker.count(Stage.DONE, before=False)) == (0, 1)

    def test_news_of_an_older_revision_is_not_the_end_of_this_one(self):
        tracker = tracking(("a", Verdict.QUEUED_REVISION, Stage.GENERATING))
        tracker.event(message(STAGED, "L", "a", fingerprint="another"))
        tracker.rows([view("L", "a", Stage.DONE, fingerprint="another")])
        assert tracker.open == 1

    @pytest.mark.parametrize("stage", [Stage.PARKED, Stage.UNCERTAIN, Stage.FAILED, Stage.DONE])
    def test_a_row_tells_of_ends_that_sent_no_message(self, stage):
        tracker = tracking(("a", *NEW))
        tracker.rows([view("L", "a", stage)])
        assert (tracker.open, tracker.count(stage)) == (0, 1)

    def test_a_held_photo_that_goes_on_is_staged_in_the_end(self):
        tracker = tracking(("a", *NEW))
        tracker.rows([view("L", "a", Stage.PARKED)])
        tracker.event(message(STAGED, "L", "a"))
        assert (tracker.count(Stage.PARKED), tracker.count(Stage.DONE)) == (0, 1)

    def test_every_listing_with_open_photos_is_looked_at_in_turn(self):
        tracker = Tracker()
        for name in "xyz":
            answer = Enqueued(listing_id=name, photo_id="p", verdict=Verdict.ACCEPTED, stage=Stage.ACCEPTED)
            tracker.enqueued([new_listing(name, "p")], [answer])
        assert [tracker.to_look_at(2), tracker.to_look_at(2), tracker.to_look_at(2)] == [["x", "y"], ["z"], ["x", "y"]]

    @pytest.mark.parametrize("text", ["{}", '{"type": "x"}', '{"data": null}', '{"data": {}}'])
    def test_a_message_of_something_else_changes_nothing(self, text):
        tracker = tracking(("a", *NEW))
        tracker.event(text)
        assert tracker.open == 1


class TestJournal:
    def test_messages_of_this_run_are_copied_once(self, tmp_path):
        ledger = FakeLedger(messages=[("2000-0", message(STAGED, "L", "a")), ("2001-0", message(STAGED, "M", "a"))])
        tracker, noted = tracking(("a", *NEW)), []
        journal = Journal(tmp_path / "out" / "messages.jsonl", begun_ms=2000, noted=noted.append)
        for _ in range(2):
            asyncio.run(journal.copy(ledger, tracker))
        lines = journal.path.read_text().splitlines()
        assert [json.loads(line)["data"]["listing_id"] for line in lines] == ["L"]
        assert noted == ["2001-0"]
        assert tracker.open == 0

    def test_with_a_position_everything_since_then_is_copied_and_old_news_ends_nothing(self, tmp_path):
        ledger = FakeLedger(messages=[("1-0", message(STAGED, "K", "a")), ("1000-0", message(FAILED, "L", "a"))])
        tracker = tracking(("a", *NEW))
        journal = Journal(tmp_path / "messages.jsonl", begun_ms=2000, position="1-0")
        asyncio.run(journal.copy(ledger, tracker))
        assert len(journal.path.read_text().splitlines()) == 1
        assert tracker.open == 1

    def test_a_long_stream_is_read_to_its_end(self, tmp_path):
        ledger = FakeLedger(messages=[(f"{3000 + n}-0", message(LISTING_COMPLETED, "L", "-")) for n in range(2500)])
        journal = Journal(tmp_path / "messages.jsonl", begun_ms=2000)
        assert asyncio.run(journal.copy(ledger, tracking(("a", *NEW)))) == 2500
        assert len(journal.path.read_text().splitlines()) == 2500


class Crew:
    """Workers that do, at each look, the next thing they are told."""

    def __init__(self, *deeds):
        self.deeds = list(deeds)

    def check(self):
        deed = self.deeds.pop(0) if self.deeds else None
        return [] if deed is None else [deed() or "done"]


def followed(tmp_path, ledger, tracker, *deeds, interrupt_after=None):
    """Follow with a clock of one second a look; return the ending and the lines."""
    lines, clock = [], iter(range(10_000))

    async def main():
        interrupted = asyncio.Event()
        pauses = 0

        async def pause(event):
            nonlocal pauses
            pauses += 1
            if pauses == interrupt_after:
                event.set()

        return await follow(
            ledger,
            tracker=tracker,
            journal=Journal(tmp_path / "messages.jsonl", begun_ms=2000),
            display=Lines(lines.append),
            crew=Crew(*deeds),
            interrupted=interrupted,
            now_s=lambda: float(next(clock)),
            pause=pause,
        )

    return asyncio.run(main()), lines


class TestFollow:
    def test_it_ends_when_all_photos_have_ended(self, tmp_path):
        ledger, tracker = FakeLedger(), tracking(("a", *NEW), ("b", *NEW))
        deeds = [
            lambda: ledger.messages.append(("2001-0", message(STAGED, "L", "a"))),
            lambda: ledger.messages.append(("2002-0", message(FAILED, "L", "b", error={"code": "c", "message": "m"}))),
        ]
        ending, lines = followed(tmp_path, ledger, tracker, *deeds)
        assert ending is Ending.ALL_ENDED
        assert "staged 1/2 | failed 1" in lines[-1]

    def test_it_ends_when_the_rest_is_held(self, tmp_path):
        ledger, tracker = FakeLedger(), tracking(("a", *NEW))
        ledger.views = [view("L", "a", Stage.UNCERTAIN)]
        assert followed(tmp_path, ledger, tracker)[0] is Ending.ALL_ENDED
        assert exit_code(tracker, Ending.ALL_ENDED, bad_records=0) == 1

    def test_an_interruption_ends_it_with_photos_open(self, tmp_path):
        ending, _ = followed(tmp_path, FakeLedger(), tracking(("a", *NEW)), interrupt_after=3)
        assert ending is Ending.INTERRUPTED

    def test_an_account_that_stays_paused_ends_it(self, tmp_path):
        ledger = FakeLedger(picture=snapshot(paused_reason="the key is revoked"))
        ending, lines = followed(tmp_path, ledger, tracking(("a", *NEW)), interrupt_after=int(10 * PAUSED_S))
        assert ending is Ending.PAUSED
        assert "PAUSED: the key is revoked" in lines[0]

    def test_a_redis_that_is_away_for_a_moment_is_waited_for(self, tmp_path):
        ledger, tracker = FakeLedger(down=True), tracking(("a", *NEW))

        def back():
            ledger.down = False
            ledger.messages.append(("2001-0", message(STAGED, "L", "a")))

        ending, _ = followed(tmp_path, ledger, tracker, None, None, back)
        assert ending is Ending.ALL_ENDED

    def test_a_redis_that_stays_away_ends_it(self, tmp_path):
        with pytest.raises(RedisError):
            followed(tmp_path, FakeLedger(down=True), tracking(("a", *NEW)), interrupt_after=int(10 * REDIS_AWAY_S))


def picture(**changes) -> Picture:
    plain = {"elapsed_s": 12.0, "total": 14, "staged": 0, "failed": 0, "held": 0, "rate_per_min": None, "eta_s": None}
    return Picture(**({"snapshot": None} | plain | changes))


class TestPlainLines:
    @pytest.mark.parametrize(
        ("changes", "line"),
        [
            ({}, " 0:12  staged 0/14"),
            ({"staged": 3, "failed": 1, "held": 2}, " 0:12  staged 3/14 | failed 1 | held 2"),
            (
                {"elapsed_s": 3725.0, "rate_per_min": 37.6, "eta_s": 61.0},
                "1:02:05  staged 0/14 | 38 photos/min | about 1:01 left",
            ),
            (
                {"snapshot": snapshot(stages={Stage.ACCEPTED: 2, Stage.GENERATING: 5, Stage.DONE: 9}, slots_used=5)},
                " 0:12  staged 0/14 | waiting 2 generating 5 | slots 5/50",
            ),
            (
                {"snapshot": snapshot(hold_ms=900)},
                " 0:12  staged 0/14 | slots 0/50 | budgets count as spent at first: Redis has just started",
            ),
        ],
    )
    def test_a_picture_is_one_line(self, changes, line):
        assert plain_line(picture(**changes)) == line

    def test_a_line_comes_when_something_has_changed_and_at_most_each_two_seconds(self):
        lines: list[str] = []
        display = Lines(lines.append)
        for elapsed_s, staged in [(0, 0), (1, 1), (2, 1), (5, 1), (9, 1), (10, 2), (11, 3)]:
            display.show(picture(elapsed_s=float(elapsed_s), staged=staged, eta_s=elapsed_s))
        display.show(picture(elapsed_s=11.5, staged=4), last=True)
        assert [line.split()[0] for line in lines] == ["0:00", "0:02", "0:10", "0:11"]

    def test_what_only_time_changes_is_no_news(self):
        lines: list[str] = []
        display = Lines(lines.append)
        for elapsed_s in range(10):
            display.show(picture(elapsed_s=float(elapsed_s), rate_per_min=elapsed_s + 1.0, eta_s=elapsed_s))
        assert len(lines) == 1


class TestSummary:
    def test_a_second_run_says_that_nothing_was_staged_again(self):
        tracker = tracking(*((name, Verdict.SAME, Stage.DONE) for name in "abc"))
        lines = summary(tracker, Ending.ALL_ENDED, elapsed_s=1, bad_records=0)
        assert lines == ["nothing was staged again: 3 photos were already staged"]
        assert exit_code(tracker, Ending.ALL_ENDED, bad_records=0) == 0

    def test_outputs_that_were_found_in_the_store_count_as_staged_before(self):
        tracker = tracking(("a", *NEW))
        tracker.event(message(STAGED, "L", "a"))
        tracker.staged_earlier([PhotoName("L", "a")])
        lines = summary(tracker, Ending.ALL_ENDED, elapsed_s=1, bad_records=0)
        assert lines == ["nothing was staged again: 1 photo was already staged"]

    def test_failures_come_with_their_reasons(self):
        tracker = tracking(("a", *NEW), ("b", *NEW))
        tracker.event(message(STAGED, "L", "a"))
        tracker.event(message(FAILED, "L", "b", error={"code": "no_source", "message": "there is none"}))
        lines = summary(tracker, Ending.ALL_ENDED, elapsed_s=61, bad_records=2)
        assert lines[0] == "1 photo staged in 1:01"
        assert "  L/b: no_source: there is none" in lines
        assert lines[-1] == "2 bad records left out"

    @pytest.mark.parametrize(
        ("ending", "stage", "bad_records", "code"),
        [
            (Ending.ALL_ENDED, Stage.DONE, 0, 0),
            (Ending.ALL_ENDED, Stage.DONE, 1, 1),
            (Ending.ALL_ENDED, Stage.FAILED, 0, 1),
            (Ending.ALL_ENDED, Stage.PARKED, 0, 1),
            (Ending.ALL_ENDED, Stage.UNCERTAIN, 0, 1),
            (Ending.ALL_ENDED, Stage.CANCELLED, 0, 1),
            (Ending.PAUSED, Stage.ACCEPTED, 0, 1),
            (Ending.INTERRUPTED, Stage.ACCEPTED, 0, 130),
        ],
    )
    def test_the_exit_code_says_how_it_went(self, ending, stage, bad_records, code):
        tracker = tracking(("a", *NEW))
        tracker.rows([view("L", "a", stage)])
        assert exit_code(tracker, ending, bad_records=bad_records) == code


class TestPage:
    def test_a_source_that_can_not_be_read_is_said_so(self):
        class NoSources:
            async def read(self, source: str) -> None:
                raise SourceError(f"{source}: it answers 404")

        listing = new_listing("L", "a")
        outcomes = {PhotoName("L", "a"): Outcome(stage=Stage.FAILED, code="source_unusable")}
        page = asyncio.run(
            render_page({"default": None}, NoSources(), list(photos_of([listing])), outcomes=outcomes, manifests={})
        )
        assert "source_unusable" in page
        assert "can't be shown here: https://photos.test/a.jpg: it answers 404" in page.replace("&#x27;", "'")
