"""The worker's consumer, careful with queues that are not the fleet's alone.

`celery` is where a producer's messages go when it names no queue, so workers take `stagecrew.enqueue` from there. It
may be another application's queue too: the first message that is not ours is given back as it was, and the worker takes
nothing more from that queue as long as it lives, and says so. In the fleet's own queues a message that nobody knows is
dropped and logged, as Celery has it.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from celery.worker.consumer import Consumer

from config.celeryconfig import PLAIN_QUEUE
from worker.dispatch.steps_in_memory import StepsInMemory

logger = logging.getLogger(__name__)

_PREFIX: Final = "stagecrew."
#: Events of tasks are published together, in seconds.
EVENTS_S: Final = 0.25


class CarefulConsumer(Consumer):
    """Runs the fleet's tasks only; gives back what came from a queue of others."""

    #: Celery's own, which its types leave out.
    strategies: dict[str, Any]
    task_consumer: Any

    hub: Any
    event_dispatcher: Any
    _flush_is_due = False

    def connection_for_read(self, heartbeat: float | None = None) -> Any:
        """Connect to the broker; steps that are taken from it cost it nothing more."""
        connection: Any = super().connection_for_read(heartbeat)
        connection.default_channel.QoS = StepsInMemory
        return connection

    def on_send_event_buffered(self) -> Any:
        """Publish what Flower shows a few times a second: at each turn of the loop it would cost as much as a task."""
        if self.hub and not self._flush_is_due:
            self._flush_is_due = True
            self.hub.call_later(EVENTS_S, self._publish_events)

    def _publish_events(self) -> None:
        self._flush_is_due = False
        if self.event_dispatcher:
            self.event_dispatcher.flush()

    def update_strategies(self) -> None:
        """Know only the fleet's tasks: Celery's own, such as a chord's, may be another application's here."""
        super().update_strategies()
        for name in [name for name in self.strategies if not name.startswith(_PREFIX)]:
            del self.strategies[name]

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:
        """Give a message of others back and leave their queue; refuse what does not belong into ours."""
        if not self._leave(message):
            super().on_unknown_task(body, message, exc)

    def on_unknown_message(self, body: Any, message: Any) -> None:
        """Do the same with what is no task at all."""
        if not self._leave(message):
            super().on_unknown_message(body, message)

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Do the same with what is not JSON."""
        if not self._leave(message):
            super().on_decode_error(message, exc)

    def _leave(self, message: Any) -> bool:
        if message.delivery_info.get("routing_key") != PLAIN_QUEUE:
            return False
        message.requeue()
        if self.task_consumer.consuming_from(PLAIN_QUEUE):
            self.cancel_task_queue(PLAIN_QUEUE)
            logger.error(
                "another application uses this queue: nothing more is taken from it; producers must name the queue "
                "stagecrew.enqueue",
                extra={"queue": PLAIN_QUEUE},
            )
        return True
