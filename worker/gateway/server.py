"""Serves the gateway with uvicorn until a signal comes; what was being answered is answered first."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import uvicorn

from worker.gateway.app import create_app
from worker.gateway.protocol import CarefulProtocol

if TYPE_CHECKING:
    from config.settings import Settings

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
    uvicorn.Server(config).run(sockets=[listener])
