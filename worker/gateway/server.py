"""Serves the gateway with uvicorn until a signal comes; what was being answered is answered first.

From the signal on `/readyz` says no. After STAGECREW_GATEWAY_DRAIN_S, which gives load balancers the time to see that,
nobody is let in any more; the requests under way are answered, and the process ends with 0. A second signal ends the
waiting.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Final

import uvicorn

from worker.gateway.app import create_app
from worker.gateway.protocol import CarefulProtocol

if TYPE_CHECKING:
    from config.settings import Settings
    from worker.gateway.state import Gateway

#: Requests that are being answered may take so long after the signal, in seconds; storing a webhook takes less.
GRACE_S: Final = 10
#: Connections that wait to be accepted: a burst of webhooks while the loop is busy.
BACKLOG: Final = 2048
#: Connections at once; more are answered 503 and closed, and their senders come again.
MOST_CONNECTIONS: Final = 2000


def serve(settings: Settings, *, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Listen on `host` and `port` (0: a free one) until SIGTERM or SIGINT; `ready` is told the address.

    Raises OSError when the address can't be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    config = uvicorn.Config(
        create_app(settings),
        # Our own logging is set up already; a line a request is a proxy's business.
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        http=CarefulProtocol,
        # Not one of ours.
        ws="none",
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=GRACE_S,
    )
    # uvicorn gives the signal on when it has ended, which would end the process as if it had not been caught.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    shown = f"[{host}]" if family == socket.AF_INET6 else host
    ready(f"http://{shown}:{listener.getsockname()[1]}")
    _Server(config, drain_s=settings.gateway_drain_s).run(sockets=[listener])


class _Server(uvicorn.Server):
    """uvicorn's, which is not ready for a while before it ends."""

    def __init__(self, config: uvicorn.Config, *, drain_s: float) -> None:
        super().__init__(config)
        self._drain_s = drain_s

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain; at the second signal, or without time to drain, end."""
        gateway: Gateway = self.config.app.state.gateway  # type: ignore[union-attr]
        waits = not gateway.draining and self._drain_s > 0 and self.started
        gateway.draining = True
        if waits:
            # Python runs signal handlers in the main thread, which is the loop's; it may be asleep.
            loop = asyncio.get_running_loop()
            loop.call_soon_threadsafe(loop.call_later, self._drain_s, super().handle_exit, sig, frame)
        else:
            super().handle_exit(sig, frame)
