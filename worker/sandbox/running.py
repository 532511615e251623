"""A sandbox as a child process: for `stagecrew run`, tests and benches."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from worker.embedded.processes import spawn, stop
from worker.sandbox.config import SandboxConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningSandbox:
    """A sandbox that answers at `base_url`."""

    base_url: str
    api_key: str
    webhook_secret: str
    process: subprocess.Popen[bytes]

    def books(self) -> dict[str, Any]:
        """Return the simulator's books."""
        with urllib.request.urlopen(f"{self.base_url}/sandbox/books", timeout=30) as answer:  # noqa: S310 - loopback
            found: dict[str, Any] = json.load(answer)
        return found

    def set_faults(self, **faults: object) -> None:
        """Change faults while it runs."""
        self._post("faults", faults)

    def configure(self, **changes: object) -> None:
        """Change how long ingests and jobs take from now on, or the cap, while it runs."""
        self._post("config", changes)

    def advance(self, seconds: float) -> None:
        """Let its clock jump ahead."""
        self._post("clock", {"advance_s": seconds})

    def _post(self, what: str, content: object) -> None:
        request = urllib.request.Request(f"{self.base_url}/sandbox/{what}", data=json.dumps(content).encode())  # noqa: S310
        with urllib.request.urlopen(request, timeout=30):  # noqa: S310 - loopback
            pass


@contextlib.contextmanager
def running_sandbox(config: SandboxConfig, *, port: int = 0) -> Iterator[RunningSandbox]:
    """Serve a sandbox in a process of its own while the block runs. Raises RuntimeError when it does not come up."""
    command = [sys.executable, "-m", "worker.sandbox", "--port", str(port), "--config", config.to_json()]
    process = spawn(command, environ={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, output=subprocess.PIPE)
    assert process.stdout is not None
    line = process.stdout.readline()
    try:
        if not line.startswith(b"{"):
            message = f"the sandbox did not start: {line.decode(errors='replace')}{process.stdout.read().decode()}"
            raise RuntimeError(message)
        yield RunningSandbox(**json.loads(line), process=process)
    finally:
        stop(process, within_s=5)
        process.stdout.close()
