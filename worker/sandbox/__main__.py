"""`python -m worker.sandbox --port 8900 --config JSON`: serves the simulator and prints one line when it is ready."""

from __future__ import annotations

import argparse
import json
import socket
import sys

import uvicorn

from worker.sandbox.api import create_app
from worker.sandbox.config import SandboxConfig


def main() -> None:
    """Serve until a signal comes. The line is JSON: base_url, api_key, webhook_secret."""
    parser = argparse.ArgumentParser(prog="python -m worker.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=8900)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--config", default="{}", help="JSON of SandboxConfig's fields")
    given = parser.parse_args()
    config = SandboxConfig.from_json(given.config)
    listener = socket.create_server((given.host, given.port), backlog=512)
    port = listener.getsockname()[1]
    server = uvicorn.Server(
        uvicorn.Config(create_app(config), log_level="critical", access_log=False, timeout_graceful_shutdown=2)
    )
    ready = {
        "base_url": f"http://{given.host}:{port}",
        "api_key": config.api_key,
        "webhook_secret": config.webhook_secret,
    }
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    server.run(sockets=[listener])


if __name__ == "__main__":
    main()
