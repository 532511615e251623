"""What follows from an attempt to deliver: how long to wait, and when to give up."""

from __future__ import annotations

import pytest

from worker.core.delivery import (
    DELIVERED,
    LONGEST_DOWN_MS,
    LONGEST_MS,
    MAX_TRIES,
    Word,
    down,
    refused,
    retry,
    settlement,
)
from worker.sinks.https import outcome_of


@pytest.mark.parametrize(
    ("outcome", "tries", "times_down", "word", "wait_ms"),
    [
        (DELIVERED, 5, 0, Word.DELIVERED, 0),
        (refused("no"), 0, 0, Word.DEAD, 0),
        (retry("later"), 0, 0, Word.RETRY, 500),
        (retry("later"), 3, 0, Word.RETRY, 4_000),
        (retry("later", 9_000), 0, 0, Word.RETRY, 9_000),
        (retry("later"), 30, 0, Word.RETRY, LONGEST_MS // 2),
        (retry("later", 10 * LONGEST_MS), 0, 0, Word.RETRY, LONGEST_MS),
        (retry("later"), MAX_TRIES - 2, 0, Word.RETRY, LONGEST_MS // 2),
        (retry("later"), MAX_TRIES - 1, 0, Word.DEAD, 0),
        (down("gone"), MAX_TRIES, 0, Word.DOWN, 500),
        (down("gone"), 0, 500, Word.DOWN, LONGEST_DOWN_MS // 2),
        (down("gone", LONGEST_MS), 0, 0, Word.DOWN, LONGEST_MS),
    ],
)
def test_each_outcome_has_its_consequence(outcome, tries, times_down, word, wait_ms) -> None:
    found = settlement(outcome, tries=tries, times_down=times_down, jitter=0.0)
    assert (found.word, found.wait_ms) == (word, wait_ms)


def test_waits_are_spread_between_half_and_the_whole_of_the_step() -> None:
    waits = {settlement(retry("x"), tries=4, times_down=0, jitter=jitter).wait_ms for jitter in (0.0, 0.5, 0.999)}
    assert waits == {8_000, 12_000, 15_992}


def test_a_message_that_is_given_up_says_after_how_many_tries_and_a_long_reason_is_cut() -> None:
    found = settlement(retry("x" * 10_000), tries=MAX_TRIES - 1, times_down=0, jitter=0.0)
    assert found.reason == f"{'x' * 300} ({MAX_TRIES} tries)"


@pytest.mark.parametrize(
    ("status", "retry_after", "word", "wait_ms"),
    [
        (200, None, Word.DELIVERED, 0),
        (204, None, Word.DELIVERED, 0),
        (301, None, Word.RETRY, 0),
        (400, None, Word.DEAD, 0),
        (401, None, Word.RETRY, 0),
        (404, None, Word.RETRY, 0),
        (408, None, Word.RETRY, 0),
        (409, None, Word.RETRY, 0),
        (410, None, Word.RETRY, LONGEST_MS),
        (413, None, Word.DEAD, 0),
        (422, None, Word.DEAD, 0),
        (425, None, Word.RETRY, 0),
        (429, None, Word.DOWN, 0),
        (429, "20", Word.DOWN, 20_000),
        (500, None, Word.RETRY, 0),
        (500, "20", Word.RETRY, 20_000),
        (503, None, Word.RETRY, 0),
        (503, "20", Word.DOWN, 20_000),
        (503, "nonsense", Word.RETRY, 0),
        (599, None, Word.RETRY, 0),
    ],
)
def test_a_receivers_answer_is_about_the_message_or_about_the_receiver(status, retry_after, word, wait_ms) -> None:
    found = outcome_of(status, retry_after, now_ms=0)
    assert (found.word, found.wait_ms) == (word, wait_ms)
    assert found.word is Word.DELIVERED or str(status) in found.reason
