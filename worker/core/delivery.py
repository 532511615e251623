"""What follows from an attempt to deliver a message to a sink: pure.

Four things can come of it. `delivered`: the sink has it. `retry`: this message failed, and is tried again later; after
`MAX_TRIES` it becomes a dead letter. `refused`: the sink will never take this message: a dead letter at once. `down`:
the sink takes nothing from anybody (no connection, no such queue, no right to it): that says nothing of the message, so
it costs it no try, and all of the sink's messages wait together.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

#: Tries of one message: seconds apart at first, an hour in the end; together they take most of a day.
MAX_TRIES: Final = 36
FIRST_MS: Final = 1_000
LONGEST_MS: Final = 3_600_000
#: A sink that is down is tried again at least once a minute, so that it is soon found up.
LONGEST_DOWN_MS: Final = 60_000
_MAX_DOUBLINGS: Final = 20
#: What is kept of a reason.
_REASON_CHARACTERS: Final = 300


class Word(StrEnum):
    """How a message's delivery is settled; the value is what the settling script takes."""

    DELIVERED = "delivered"
    RETRY = "retry"
    DEAD = "dead"
    DOWN = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a sink made of one message; `wait_ms`: what it asked for until the next try."""

    word: Word
    reason: str = ""
    wait_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What is written of it: the word, the wait until the next try, and the reason."""

    word: Word
    wait_ms: int
    reason: str


DELIVERED: Final = Outcome(word=Word.DELIVERED)


def retry(reason: str, wait_ms: int = 0) -> Outcome:
    """Return that this message failed and may go through later."""
    return Outcome(word=Word.RETRY, reason=reason, wait_ms=wait_ms)


def refused(reason: str) -> Outcome:
    """Return that the sink will never take this message."""
    return Outcome(word=Word.DEAD, reason=reason)


def down(reason: str, wait_ms: int = 0) -> Outcome:
    """Return that the sink takes no message at all just now."""
    return Outcome(word=Word.DOWN, reason=reason, wait_ms=wait_ms)


def settlement(outcome: Outcome, *, tries: int, times_down: int, jitter: float) -> Settlement:
    """Return what follows from an outcome.

    `tries`: failed tries of the message before this one; `times_down`: how often in a row the sink was found down;
    `jitter`: a random number in [0, 1).
    """
    reason = outcome.reason[:_REASON_CHARACTERS]
    match outcome.word:
        case Word.RETRY if tries + 1 >= MAX_TRIES:
            return Settlement(word=Word.DEAD, wait_ms=0, reason=f"{reason} ({tries + 1} tries)")
        case Word.RETRY:
            return Settlement(word=Word.RETRY, wait_ms=_wait(tries, LONGEST_MS, outcome.wait_ms, jitter), reason=reason)
        case Word.DOWN:
            wait_ms = _wait(times_down, LONGEST_DOWN_MS, outcome.wait_ms, jitter)
            return Settlement(word=Word.DOWN, wait_ms=wait_ms, reason=reason)
    return Settlement(word=outcome.word, wait_ms=0, reason=reason)


def _wait(times: int, longest_ms: int, asked_ms: int, jitter: float) -> int:
    step = min(longest_ms, FIRST_MS * 2 ** min(times, _MAX_DOUBLINGS))
    # Whatever was asked for: nobody waits longer than the longest wait of all.
    return min(LONGEST_MS, max(asked_ms, int(step * (0.5 + jitter / 2))))
