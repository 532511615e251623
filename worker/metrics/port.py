"""A worker's own port: `/metrics` for Prometheus, `/healthz` and `/readyz` for whoever watches over processes.

Served by a thread of its own, so that it answers when the event loop hangs. A port that can't be had costs a line in
the log and never the worker: where it is in use, as by another worker of the machine, one of the next is taken.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import socket
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

from prometheus_client.exposition import choose_encoder

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from worker.metrics.pulse import Pulse

logger = logging.getLogger(__name__)

#: Ports that are tried, from the one of the settings on: as many workers may show themselves on one machine.
TRIED: Final = 32
#: A scraper that sends nothing is not waited for any longer, in seconds.
PATIENCE_S: Final = 10.0


@contextlib.contextmanager
def open_port(
    host: str, port: int | None, registry: CollectorRegistry, pulse: Pulse, *, tried: int = TRIED
) -> Iterator[int | None]:
    """Serve while the block runs; gives the port, or None when there is none."""
    server = _server(host, _candidates(port, tried), registry, pulse) if port is not None else None
    if server is None:
        yield None
        return
    thread = threading.Thread(target=server.serve_forever, name="stagecrew-metrics", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE_S)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Else two workers would share a port on some systems, and each would answer for the other.
    allow_reuse_port = False
    registry: CollectorRegistry
    pulse: Pulse

    def server_bind(self) -> None:
        """Bind as usual; the host's name, which may take seconds to look up, is not asked for."""
        socket.socket.bind(self.socket, self.server_address)
        self.server_name, self.server_port = str(self.server_address[0]), self.socket.getsockname()[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a scraper that went away: the standard library writes a traceback into the JSON of the log."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = PATIENCE_S
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "stagecrew", ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            self._answer(200, encode(self.server.registry), content_type)
        elif path in {"/healthz", "/readyz"}:
            pulse = self.server.pulse
            trouble = pulse.trouble() if path == "/healthz" else pulse.not_ready()
            said = {"status": "ok"} if trouble is None else {"status": "unavailable", "reason": trouble}
            self._answer(200 if trouble is None else 503, json.dumps(said).encode(), "application/json")
        else:
            self._answer(404, b"there are /metrics, /healthz and /readyz\n", "text/plain; charset=utf-8")

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing: a line a scrape is of no use."""


def _candidates(port: int, tried: int) -> range:
    return range(1) if port == 0 else range(port, min(port + tried, 65536))


def _server(host: str, candidates: range, registry: CollectorRegistry, pulse: Pulse) -> _Server | None:
    kind = _Server6 if ":" in host else _Server
    reason = ""
    for number in candidates:
        try:
            server = kind((host, number), _Handler)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            if error.errno != errno.EADDRINUSE:
                break
            continue
        server.registry, server.pulse = registry, pulse
        if candidates[0] not in {0, server.server_port}:
            logger.warning(
                "metrics port in use, another was taken",
                extra={"host": host, "port": server.server_port, "asked_for": candidates[0]},
            )
        else:
            logger.info("metrics served", extra={"host": host, "port": server.server_port})
        return server
    logger.error(
        "no metrics port: nothing is shown, the worker goes on",
        extra={"host": host, "ports": f"{candidates[0]}-{candidates[-1]}", "reason": reason},
    )
    return None
