"""`stagecrew.enqueue`: other programs hand records over by message.

The same record as in JSON Lines, by the same checks; the same record again changes nothing. Files of this machine can
be named only below STAGECREW_ENQUEUE_FILES_BELOW. Bad records are logged with their reasons, told in the task's result
(Flower shows it) and counted; the good ones go on. docs/enqueueing.md says what a producer has to do.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Final

from celery.exceptions import Reject
from redis.exceptions import RedisError

from worker import process
from worker.app import app, settings
from worker.intake.message import read_message
from worker.intake.outcome import BadRecord, shorten

logger = logging.getLogger(__name__)

#: A message that can't be handed over is given back after so long, in seconds, so that it does not go round in circles.
PAUSE_S: Final = 2.0
#: Bad records that are told in a result; all are logged.
TOLD: Final = 10


# Acknowledged when it is in the ledger, not before: doing it twice changes nothing.
@app.task(name="stagecrew.enqueue", bind=True, acks_late=True, Request="worker.dispatch.request:MaskedRequest")
def enqueue(self: Any, listings: Any) -> str:
    """Put records into the ledger; the answer says how many photos were new, and what is wrong with the bad ones."""
    if process.current is None:
        message = "stagecrew tasks run in a stagecrew worker: start one with `stagecrew worker`"
        raise RuntimeError(message)
    name = f"message {shorten(str(self.request.id))}"
    results = read_message(listings, name=name, files_below=settings.enqueue_files_below)
    for result in results:
        if isinstance(result, BadRecord):
            logger.warning("bad record", extra={"reason": str(result)})
    try:
        tally = process.current.take_in(results)
    except (RedisError, OSError) as error:
        logger.warning("records not taken yet", extra={"source": name, "reason": type(error).__name__})
        time.sleep(PAUSE_S)
        raise Reject(type(error).__name__, requeue=True) from error
    logger.info("records taken", extra={"door": "celery", "source": name, "told": tally.line()})
    told = [str(record) for record in tally.bad_records[:TOLD]]
    if tally.bad > len(told):
        told.append(f"and {tally.bad - len(told)} more, in the worker's log")
    return "\n".join([tally.line(), *told])
