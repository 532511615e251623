"""What a worker has taken from the step queues is remembered in its memory, not in Redis.

kombu writes every message that it hands over to a hash in Redis and removes it when the message is acknowledged: two
round trips a message, a tenth of a photo's CPU. That hash saves no step: a step is acknowledged as it begins, so what a
killed worker had begun is lost with it or without it, and its lease brings it back. Records of other programs keep
kombu's hash, which is all that holds them between the queue and the ledger.
"""

from __future__ import annotations

from typing import Any, Final

from kombu.transport import virtual
from kombu.transport.redis import QoS

from config.celeryconfig import PLAIN_QUEUE, RECORDS_QUEUE

_RECORDS: Final = frozenset({RECORDS_QUEUE, PLAIN_QUEUE})


class StepsInMemory(QoS):
    """Acknowledges steps without Redis; puts back what a worker that ends has taken and not begun."""

    #: kombu's own; its types leave its class out.
    _delivered: Any

    def append(self, message: Any, delivery_tag: str) -> None:
        """Remember a message that was handed over."""
        if _is_step(message):
            virtual.QoS.append(self, message, delivery_tag)
        else:
            super().append(message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Forget it: it is being done."""
        if _is_step(self._delivered.get(delivery_tag)):
            virtual.QoS.ack(self, delivery_tag)
        else:
            super().ack(delivery_tag)

    def restore_by_tag(self, tag: str, client: Any = None, leftmost: bool = False) -> None:  # noqa: FBT001, FBT002 - kombu's signature
        """Put it back into its queue."""
        message = self._delivered.get(tag)
        if _is_step(message):
            virtual.Channel._restore(self.channel, message)  # noqa: SLF001 - what the hash's way does too
        else:
            super().restore_by_tag(tag, client=client, leftmost=leftmost)


def _is_step(message: Any) -> bool:
    return message is not None and message.delivery_info["routing_key"] not in _RECORDS
