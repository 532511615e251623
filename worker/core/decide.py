"""What follows when a step meets trouble: pure decisions, held by property tests.

The rules, in the order in which they protect:

1. a create whose outcome is unknown is repeated with the same key and body until `REPLAY_HORIZON_MS` after its first
   send, and then waits for a person (`uncertain`): it is never given up and never made anew;
2. flow control, account trouble, and an API or store that is down cost no attempt: the photo waits;
3. reading a job is never given up: the job is paid for, also when storing its outputs was;
4. everything else is retried `max_attempts` times and then fails with the last reason; where the API, or the host of
   its outputs, gives no usable answer, `PATIENT_TRIES` times, for it is most likely out of order for everybody.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from worker.core.backoff import retry_delay_ms
from worker.core.photo import Photo, Stage
from worker.core.step import Ending, Step
from worker.core.trouble import Cause, Trouble

#: The API keeps idempotency keys for 24 h (contract, section 3); an hour is left for clocks and queues. API time.
REPLAY_HORIZON_MS: Final = 23 * 3_600_000
#: Failed tries of one step before the photo fails, unless the settings say otherwise.
MAX_ATTEMPTS: Final = 12
#: Failed tries where nobody gives a usable answer: with the longest waits between them, some five hours of an outage.
PATIENT_TRIES: Final = 200
#: A step lost this often while a worker was at it is taken to kill its workers.
MAX_LOST: Final = 25
#: What a create's row keeps only until it is settled.
INTENT_FIELDS: Final = ("body", "idempotency_key", "sent_ms")
#: Stages of a job that has succeeded: it is paid for, so a failure is followed by reading it, never by buying another.
PAID: Final = frozenset({Stage.STORING, Stage.ANNOUNCING})
#: The least wait after flow control spoke, and after the API could not be reached at all. API time.
FLOW_PAUSE_MS: Final = 1_000
REFUSED_PAUSE_MS: Final = 5_000
#: So many denials of a job that was created are taken for a delay on the API's side.
DENIED_READS: Final = 3
#: How often an asset that has gone is taken in again.
MAX_INGEST_TRIES: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The numbers that the decisions use; times in ms of the fleet's clock, `speed` = API time per fleet time."""

    max_attempts: int = MAX_ATTEMPTS
    speed: float = 1.0

    def scaled(self, api_ms: float) -> int:
        """Return a duration of the API's time in the fleet's."""
        return int(api_ms / self.speed)


def after_trouble(photo: Photo, trouble: Trouble, *, jitter: float, rules: Rules) -> Step:
    """Return what follows `trouble` in the step that `photo.stage` stands for."""
    if photo.stage in {Stage.INGESTED, Stage.CREATING}:
        return _after_create(photo, trouble, jitter=jitter, rules=rules)
    if trouble.cause in {Cause.FLOW_CONTROL, Cause.ACCOUNT, Cause.DOWN}:
        return _wait(photo, trouble, jitter=jitter, rules=rules)
    if photo.stage is Stage.GENERATING:
        return _after_read(photo, trouble, jitter=jitter, rules=rules)
    if trouble.cause is Cause.NOT_THERE and photo.stage is Stage.INGESTING:
        return ingest_again(photo, trouble)
    if trouble.cause in {Cause.REJECTED, Cause.SOURCE, Cause.CONFLICT, Cause.NOT_THERE, Cause.ASSET_GONE}:
        return fail(trouble.code, trouble.message)
    return _retry(photo, trouble, jitter=jitter, rules=rules)


def after_store_trouble(photo: Photo, trouble: Trouble, *, jitter: float, rules: Rules) -> Step:
    """Return what follows when the store could not be asked before a create: nothing was sent, so the photo waits."""
    return _wait(photo, trouble, jitter=jitter, rules=rules)


def fail(code: str, message: str, *, release_slot: bool = False) -> Step:
    """Return the end of a photo that can't be staged, with the reason for people."""
    return Step(
        ending=Ending.FAIL,
        stage=Stage.FAILED,
        error_code=code,
        error_message=message,
        drop=INTENT_FIELDS,
        release_slot=release_slot,
    )


def fail_paid(code: str, message: str) -> Step:
    """Return the end of a photo whose job is paid for: a replay reads it again instead of buying another."""
    return replace(fail(code, message), fields={"resume": "1"})


def uncertain(trouble: Trouble, *, release_slot: bool = False) -> Step:
    """Return the state that waits for a person: a job may exist, and nothing is created until somebody has looked."""
    return Step(
        ending=Ending.FAIL,
        stage=Stage.UNCERTAIN,
        error_code=trouble.code,
        error_message=trouble.message,
        release_slot=release_slot,
    )


def ingest_again(photo: Photo, trouble: Trouble) -> Step:
    """Return what takes the source in anew under new keys; the end of the photo when that was tried before."""
    if photo.ingest_try >= MAX_INGEST_TRIES:
        return fail(trouble.code, trouble.message, release_slot=True)
    return Step(
        ending=Ending.GO,
        stage=Stage.ACCEPTED,
        fields={"ingest_try": str(photo.ingest_try + 1), "create_try": str(photo.create_try + 1)},
        drop=(*INTENT_FIELDS, "ingest_id", "source_asset_id"),
        release_slot=True,
        error_code=trouble.code,
        error_message=trouble.message,
    )


def _after_create(photo: Photo, trouble: Trouble, *, jitter: float, rules: Rules) -> Step:
    step = _create_step(photo, trouble, jitter=jitter, rules=rules)
    # Only the very first send is known to have bought nothing when it was refused.
    bought_nothing = trouble.refused and photo.stage is Stage.INGESTED and step.release_slot
    return replace(step, unspent=True) if bought_nothing else step


def _create_step(photo: Photo, trouble: Trouble, *, jitter: float, rules: Rules) -> Step:
    sent_ms = photo.sent_ms if photo.sent_ms is not None else photo.now_ms
    if trouble.cause is Cause.CONFLICT:
        return uncertain(trouble)
    if trouble.cause in {Cause.ASSET_GONE, Cause.NOT_THERE}:
        return _asset_gone(photo, trouble)
    if trouble.cause is Cause.REJECTED:
        # A refusal of the bytes now says nothing of the send before that was not answered.
        first = photo.stage is Stage.INGESTED
        return fail(trouble.code, trouble.message, release_slot=True) if first else uncertain(trouble)
    if trouble.refused and photo.stage is Stage.INGESTED:
        # The first send was refused for certain: nothing exists, so the slot goes back and the 23 h have not begun.
        return Step(
            ending=Ending.BACKLOG,
            stage=Stage.INGESTED,
            delay_ms=_pause(trouble, jitter=jitter, rules=rules),
            drop=INTENT_FIELDS,
            release_slot=True,
            error_code=trouble.code,
            error_message=trouble.message,
        )
    if photo.now_ms - sent_ms >= rules.scaled(REPLAY_HORIZON_MS):
        return uncertain(trouble)
    # A refusal after an unanswered send says nothing of that send: the same bytes are sent again.
    return Step(
        ending=Ending.WAIT if trouble.refused else Ending.RETRY,
        stage=Stage.CREATING,
        delay_ms=_backoff(photo, trouble, jitter=jitter, rules=rules),
        error_code=trouble.code,
        error_message=trouble.message,
    )


def _asset_gone(photo: Photo, trouble: Trouble) -> Step:
    if photo.stage is not Stage.INGESTED:
        # After an unanswered send a job may exist all the same, so nothing is created by ourselves.
        return uncertain(trouble)
    if photo.parent_job_id:
        # Another picture is made from a job, so taking the source in again would not help.
        return fail(trouble.code, trouble.message, release_slot=True)
    return ingest_again(photo, trouble)


def _after_read(photo: Photo, trouble: Trouble, *, jitter: float, rules: Rules) -> Step:
    if trouble.cause in {Cause.NOT_THERE, Cause.REJECTED} and photo.attempt >= DENIED_READS:
        return uncertain(trouble, release_slot=True)
    return Step(
        ending=Ending.RETRY,
        stage=Stage.GENERATING,
        delay_ms=_backoff(photo, trouble, jitter=jitter, rules=rules),
        error_code=trouble.code,
        error_message=trouble.message,
    )


def _retry(photo: Photo, trouble: Trouble, *, jitter: float, rules: Rules) -> Step:
    is_patient = trouble.cause is Cause.UNANSWERED
    if photo.attempt + 1 >= (max(rules.max_attempts, PATIENT_TRIES) if is_patient else rules.max_attempts):
        message = f"{trouble.message} (given up after {photo.attempt + 1} tries)"
        return (fail_paid if photo.stage in PAID else fail)(trouble.code, message)
    return Step(
        ending=Ending.RETRY,
        stage=photo.stage,
        delay_ms=_backoff(photo, trouble, jitter=jitter, rules=rules),
        error_code=trouble.code,
        error_message=trouble.message,
    )


def _wait(photo: Photo, trouble: Trouble, *, jitter: float, rules: Rules) -> Step:
    return Step(
        ending=Ending.WAIT,
        stage=photo.stage,
        delay_ms=_pause(trouble, jitter=jitter, rules=rules),
        error_code=trouble.code,
        error_message=trouble.message,
    )


def _pause(trouble: Trouble, *, jitter: float, rules: Rules) -> int:
    least_ms = REFUSED_PAUSE_MS if trouble.cause in {Cause.UNANSWERED, Cause.PASSING, Cause.DOWN} else FLOW_PAUSE_MS
    return rules.scaled(max(trouble.retry_after_ms, least_ms) * (1 + jitter / 4))


def _backoff(photo: Photo, trouble: Trouble, *, jitter: float, rules: Rules) -> int:
    return rules.scaled(retry_delay_ms(photo.attempt, jitter, at_least_ms=trouble.retry_after_ms))
