"""Completion messages as tasks of another Celery app: `celery://TASK` sends the event as the task's only argument.

The message goes to the fleet's broker, on a queue that the user's workers serve. Its task id is the event's id, so the
task can tell a message that comes twice. "Delivered" means that the broker has it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from celery import Celery

from config.celeryconfig import celery_settings
from config.sinks import SinkAddress
from worker.core.delivery import DELIVERED, Outcome, down
from worker.ledger.outbox import Letter

if TYPE_CHECKING:
    from config.settings import Settings

#: Publishing is a command to the broker each; those of a call share a connection.
BATCH: Final = 16
CALLS: Final = 2
CONNECT_S: Final = 10


class CelerySink:
    """One task of somebody else's, on the fleet's broker."""

    name: Final[str]
    batch: Final = BATCH
    calls: Final = CALLS

    def __init__(self, address: SinkAddress, settings: Settings) -> None:
        """Nothing is connected to yet."""
        self.name = address.name
        self._task = address.target
        self._queue = address.queue
        # An app of the sink's own: it sends only, and what it is set up with is not our workers' concern.
        self._app: Any = Celery("stagecrew-sink", set_as_current=False)
        self._app.config_from_object(celery_settings(settings))

    async def aclose(self) -> None:
        """Close all connections."""
        await asyncio.to_thread(self._app.close)

    async def send(self, letters: Sequence[Letter]) -> list[Outcome]:
        """Publish messages in their order; after the first that the broker does not take, none is tried."""
        return await asyncio.to_thread(self._send_all, letters)

    async def check(self) -> Outcome:
        """Return whether the broker takes connections."""

        def look() -> Outcome:
            try:
                with self._app.connection_for_write() as connection:
                    connection.ensure_connection(max_retries=1, interval_start=0, timeout=CONNECT_S)
            except Exception as error:  # noqa: BLE001 - each broker's client raises kinds of its own
                return down(_unreached(error))
            return DELIVERED

        return await asyncio.to_thread(look)

    def _send_all(self, letters: Sequence[Letter]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        try:
            # A connection a call: one that is kept may be to a broker that is gone.
            with self._app.connection_for_write() as connection, self._app.amqp.Producer(connection) as producer:
                connection.ensure_connection(max_retries=1, interval_start=0, timeout=CONNECT_S)
                for letter in letters:
                    self._app.send_task(
                        self._task,
                        args=[json.loads(letter.event)],
                        task_id=letter.event_id,
                        queue=self._queue,
                        producer=producer,
                        retry=False,
                        ignore_result=True,
                    )
                    outcomes.append(DELIVERED)
        except Exception as error:  # noqa: BLE001 - as above; nothing but the broker can fail here
            outcomes += [down(_unreached(error))] * (len(letters) - len(outcomes))
        return outcomes


def _unreached(error: Exception) -> str:
    return f"the broker does not take it ({type(error).__name__}); check STAGECREW_BROKER_URL and the server"
