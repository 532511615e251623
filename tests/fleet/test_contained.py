"""A worker as containers and systemd run it: nothing but its store can be written, and it shows that it lives."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fleet.conftest import Fleet
from worker.embedded.processes import spawn

Build = Callable[..., Fleet]

#: Makes the whole file system read-only but for one folder, and runs a command in it.
CONTAINED = """
set -e
mount --bind "$0" "$0"
mount -o remount,bind,ro /
if touch "$0/../written" 2>/dev/null; then echo "the root can be written" >&2; exit 3; fi
exec "$@"
"""


def contained(folder: Path, *command: str) -> list[str]:
    """Return a command that can write below `folder` only; skips the test where no mounts can be made."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not allow mount namespaces: run as root")
    return [unshare, "-m", "sh", "-c", CONTAINED, str(folder), *command]


def test_a_worker_needs_nothing_writable_but_its_store_and_shows_that_it_lives(fleet: Build) -> None:
    crew = fleet(workers=0, job_min_s=10, job_max_s=20)
    folder = crew.folder / "output"
    folder.mkdir()
    alive = folder / "alive"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd, (crew.folder / "worker-1.log").open("wb") as log:
        systemd.bind(str(folder / "notify"))
        crew.environ |= {
            "STAGECREW_ALIVE_FILE": str(alive),
            "NOTIFY_SOCKET": str(folder / "notify"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = contained(folder, sys.executable, "-m", "worker.cli", "worker")
        worker = spawn(command, environ=crew.environ, output=log)
        crew.workers.append(worker)
        assert systemd.recv(100) == b"READY=1"
        assert systemd.recv(100) == b"WATCHDOG=1"
        assert alive.exists()
        crew.enqueue(crew.photos(2))
        crew.wait_for_all(2)
        worker.send_signal(signal.SIGTERM)
        while (said := systemd.recv(100)) == b"WATCHDOG=1":
            pass
        assert said == b"STOPPING=1"
        assert worker.wait(60) == 0
    assert not alive.exists(), "it went with its worker"
    crew.check_books(staged=2)
