"""Signs the fleet's messages and lets nothing else in, where `STAGECREW_MESSAGE_KEY` is set.

Guarantee: a message without a good signature of its task, id and arguments is dropped before a thread, a lease or a
record is touched; so is one that carries callbacks, which nobody of ours sends. A signed message that comes twice is
harmless without a key too: leases fence steps, and records are idempotent.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from celery import signals

from config.messages import HEADER

if TYPE_CHECKING:
    from config.messages import MessageKeys

logger = logging.getLogger(__name__)

#: Only these are ours to sign: a sink may send another application's tasks.
PREFIX: Final = "stagecrew."
#: Refusals are logged at most this often, in seconds: whoever sends forged ones does not fill the log.
LOG_S: Final = 10.0

#: What Celery calls for each message: (message, body, ack, reject, callbacks).
Strategy = Callable[..., Any]


def sign_messages(keys: MessageKeys) -> None:
    """Sign whatever this process publishes for the fleet, from now on."""

    def sign(body: Any = None, headers: Any = None, **_: Any) -> None:
        task = headers["task"]
        if task.startswith(PREFIX):
            headers[HEADER] = keys.sign(task, headers["id"], body[0], body[1])

    signals.before_task_publish.connect(sign, weak=False, dispatch_uid="stagecrew.sign")


class Gate:
    """Stands before the strategies of a worker's tasks."""

    def __init__(self, keys: MessageKeys) -> None:
        """`keys`: any of them may have signed."""
        self._keys = keys
        self._logged_s = float("-inf")
        self._unlogged = 0

    def guarded(self, task: str, strategy: Strategy) -> Strategy:
        """Return a strategy that is called for signed messages only."""

        def check(message: Any, body: Any, *rest: Any, **named: Any) -> Any:
            if self._is_good(task, message):
                return strategy(message, body, *rest, **named)
            self._refuse(task, message)
            return None

        return check

    def _is_good(self, task: str, message: Any) -> bool:
        headers: Mapping[str, Any] = message.headers or {}
        content = message.payload
        if not (isinstance(content, list | tuple) and len(content) == 3):  # noqa: PLR2004 - Celery's protocol 2
            return False
        args, kwargs, embedded = content
        if not isinstance(args, list | tuple) or not isinstance(kwargs, Mapping) or _calls_back(embedded):
            return False
        message_id = headers.get("id")
        return isinstance(message_id, str) and self._keys.signed(headers.get(HEADER), task, message_id, args, kwargs)

    def _refuse(self, task: str, message: Any) -> None:
        message.reject_log_error(logger, ())
        self._unlogged += 1
        if time.monotonic() - self._logged_s < LOG_S:
            return
        logger.error(
            "messages dropped: not signed with STAGECREW_MESSAGE_KEY; their sender needs that key "
            "(docs/security.md), or somebody else writes to the broker",
            extra={"dropped": self._unlogged, "task": task},
        )
        self._logged_s, self._unlogged = time.monotonic(), 0


def _calls_back(embedded: object) -> bool:
    return not isinstance(embedded, Mapping) or any(embedded.values())
