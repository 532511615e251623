"""The ledger's Redis of a chaos run: the options of the embedded one, on a TCP port, and everything that befalls it."""

from __future__ import annotations

import contextlib
import resource
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from redis import Redis
from redis.exceptions import RedisError

from worker.embedded.processes import spawn, stop
from worker.embedded.redis_server import server_binary

START_S: Final = 60.0


@dataclass(slots=True)
class Server:
    """One server on one address; `process` changes when it is started again, `folder` when a replica takes over."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, folder: Path, port: int = 0) -> Server:
        """Start a server; without a port on a free one."""
        port = port or free_port()
        folder.mkdir(parents=True, exist_ok=True)
        server = cls(folder, port, _started(folder, port))
        server.wait()
        return server

    @property
    def url(self) -> str:
        """Where it is."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def client(self) -> Redis:
        """A new connection to it, which gives up soon and repeats nothing."""
        return Redis.from_url(self.url, socket_timeout=5, decode_responses=True, retry=None)

    def wait(self) -> None:
        """Return when it answers."""
        deadline_s = time.monotonic() + START_S
        while True:
            with contextlib.suppress(RedisError), self.client as client:
                client.ping()
                return
            assert self.process.poll() is None, f"Redis ended: {(self.folder / 'redis.log').read_text()[-800:]}"
            assert time.monotonic() < deadline_s, "Redis did not come up"
            time.sleep(0.02)

    def stop(self) -> None:
        """End it in order."""
        self.process.send_signal(signal.SIGCONT)
        stop(self.process, within_s=10)

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.kill()
        self.process.wait()

    def restart(self, *, emptied: bool = False) -> None:
        """Start it again on what it had written, or on nothing."""
        if emptied:
            shutil.rmtree(self.folder / "appendonlydir", ignore_errors=True)
        self.process = _started(self.folder, self.port)
        self.wait()

    def pause(self) -> None:
        """Let it answer nobody."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """End the pause."""
        self.process.send_signal(signal.SIGCONT)

    def set_memory(self, most: str) -> None:
        """Set how much memory it may use; `0`: any."""
        with self.client as client:
            client.config_set("maxmemory", most)

    def fill_disk(self) -> None:
        """Let no file of its grow any more, as on a full disk."""
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))

    def free_disk(self) -> None:
        """Let its files grow again."""
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def cut_connections(self) -> None:
        """Break every connection."""
        with self.client as client:
            client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def fail_over(self, folder: Path, *, lost_s: float) -> None:
        """Let a replica take over its address that lacks what was written in the last `lost_s` seconds."""
        replica = Server.start(folder)
        with replica.client as client:
            client.replicaof("127.0.0.1", str(self.port))
            deadline_s = time.monotonic() + START_S
            while dict(client.info("replication")).get("master_link_status") != "up":
                assert time.monotonic() < deadline_s, "the replica did not follow"
                time.sleep(0.05)
            client.replicaof("NO", "ONE")
            time.sleep(lost_s)
            self.kill()
            client.config_set("port", str(self.port))
        self.folder, self.process = folder, replica.process
        self.wait()


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _started(folder: Path, port: int) -> subprocess.Popen[bytes]:
    options = {
        "port": str(port),
        "bind": "127.0.0.1",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    # A file that may not grow is an error to be answered, not the process's end.
    command = ["env", "--ignore-signal=XFSZ", str(server_binary())]
    with (folder / "redis.log").open("ab") as log:
        return spawn([*command, *(part for pair in options.items() for part in (f"--{pair[0]}", pair[1]))], output=log)
