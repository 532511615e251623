"""`python -m worker.sandbox --port 8900 --config JSON`: serves the simulator and says so when it is ready."""

from __future__ import annotations

import argparse
import ipaddress
import os
import socket
import sys

import uvicorn

from worker.sandbox.api import create_app
from worker.sandbox.config import SandboxConfig
from worker.sandbox.greeting import for_people, for_programs


def main() -> None:
    """Serve until a signal comes. It says one line of JSON, or with --greet what people need."""
    parser = argparse.ArgumentParser(prog="python -m worker.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=8900)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--config", default="{}", help="JSON of SandboxConfig's fields")
    parser.add_argument("--greet", action="store_true", help="say what to export, instead of JSON")
    given = parser.parse_args()
    config = SandboxConfig.from_json(given.config)
    loopback = is_loopback(given.host)
    app = create_app(config, loopback=loopback)
    family = socket.AF_INET6 if ":" in given.host else socket.AF_INET
    try:
        listener = socket.create_server((given.host, given.port), family=family, backlog=512)
    except OSError as error:
        # The code of wrong usage: nothing was done.
        sys.stderr.write(f"the sandbox can't listen on {given.host}:{given.port}: {os.strerror(error.errno or 0)}\n")
        raise SystemExit(2) from None
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="critical", access_log=False, timeout_graceful_shutdown=2, server_header=False)
    )
    # An address that means all of this machine's is none to call.
    named = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(given.host, given.host)
    shown = f"[{named}]" if ":" in named else named
    base_url = f"http://{shown}:{listener.getsockname()[1]}"
    said = for_people(base_url, config, loopback=loopback) if given.greet else for_programs(base_url, config)
    sys.stdout.write(f"{said}\n")
    sys.stdout.flush()
    server.run(sockets=[listener])


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches what listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


if __name__ == "__main__":
    main()
