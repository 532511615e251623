"""`stagecrew watch` on a real terminal, 80 by 24: what it shows, other sizes, a Redis that goes and comes, Ctrl-C."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyte
import pytest

from config.settings import load_settings
from tests.fleet.conftest import DEADLINE_S, ROOT, free_port
from worker.core.photo import NewListing, NewPhoto
from worker.core.request import Request
from worker.embedded.redis_server import embedded_redis
from worker.services import open_ledger


class Terminal:
    """A command on a pseudo-terminal, and the screen that a person would see."""

    def __init__(self, command: list[str], environ: dict[str, str], *, columns: int = 80, lines: int = 24) -> None:
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self.written = b""
        self._ours, theirs = pty.openpty()
        self._set_size(columns, lines)
        self.process = subprocess.Popen(
            command, env=environ, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)

    def _set_size(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def resize(self, columns: int, lines: int) -> None:
        """Change the size as a window's edge that is dragged would."""
        self._screen.resize(lines, columns)
        self._screen.reset()
        self._set_size(columns, lines)
        self.process.send_signal(signal.SIGWINCH)

    @property
    def rows(self) -> list[str]:
        """What stands on the screen."""
        return [row.rstrip() for row in self._screen.display]

    def until(self, what: str, true: Callable[[str], bool]) -> str:
        """Read on until the screen shows something; return all of it."""
        deadline = time.monotonic() + DEADLINE_S
        while not true(shown := "\n".join(self.rows)):
            assert time.monotonic() < deadline, f"{what} did not come:\n{shown}"
            self._read(deadline - time.monotonic())
        return shown

    def ended(self) -> int:
        """Read all that is left and return the exit code."""
        deadline = time.monotonic() + DEADLINE_S
        while self._read(deadline - time.monotonic()):
            assert time.monotonic() < deadline
        return self.process.wait(timeout=DEADLINE_S)

    def close(self) -> None:
        """End the command, if it has not ended, and the terminal."""
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def _read(self, within_s: float) -> bool:
        readable, _, _ = select.select([self._ours], [], [], max(0.0, within_s))
        if not readable:
            return False
        try:
            some = os.read(self._ours, 65_536)
        except OSError:
            # Linux says so when nobody has the other side open any more.
            return False
        self.written += some
        self._stream.feed(some)
        return bool(some)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A ledger of its own; nothing works on it."""
    return {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "STAGECREW_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
        "STAGECREW_STATE_DIR": str(tmp_path / "state"),
    }


def enqueue(environ: dict[str, str], partners: int, photos: int) -> None:
    """Put photos of partners into the ledger."""
    listings = [
        NewListing(
            listing_id=f"listing {at}",
            partner=f"partner {at}",
            photos=tuple(
                NewPhoto(photo_id=f"photo {n}", request=Request(source="https://photos.test/a.jpg"), metadata={})
                for n in range(photos)
            ),
            metadata={},
        )
        for at in range(partners)
    ]

    async def put() -> None:
        async with open_ledger(load_settings({"STAGECREW_REDIS_URL": environ["STAGECREW_REDIS_URL"]})) as ledger:
            await ledger.enqueue(listings)

    asyncio.run(put())


@pytest.fixture
def watch(environ: dict[str, str]) -> Iterator[Callable[..., Terminal]]:
    """Start `stagecrew watch` on a terminal."""
    opened: list[Terminal] = []

    def start(*words: str, **more: str) -> Terminal:
        command = [sys.executable, "-m", "worker.cli", "watch", "--interval", "0.2", *words]
        opened.append(Terminal(command, environ | more))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


def test_watch_shows_all_that_matters_on_80_by_24_and_leaves_the_terminal_clean(
    environ: dict[str, str], watch: Callable[..., Terminal], tmp_path: Path
) -> None:
    port = int(environ["STAGECREW_REDIS_URL"].rpartition(":")[2].partition("/")[0])
    with embedded_redis(tmp_path / "redis", port=port):
        enqueue(environ, partners=40, photos=3)
        terminal = watch()
        shown = terminal.until("the rate", lambda text: "photos/min" in text)
        for part in (
            "account default",
            "waiting 120",
            "generating 0",
            "done 0",
            "slots 0/50",
            "stands still",
            "no workers",
        ):
            assert part in shown
        assert "partner (" in shown
        assert "of 40)" in shown
        assert terminal.rows[-1].startswith("Ctrl-C"), "everything fits"

        terminal.resize(60, 12)
        shown = terminal.until("the smaller screen", lambda text: text.split("\n")[11].startswith("Ctrl-C"))
        assert "waiting 120" in shown
        terminal.resize(80, 24)
        terminal.until("the larger screen", lambda text: text.split("\n")[23].startswith("Ctrl-C"))

    shown = terminal.until("the trouble", lambda text: "Redis has not answered" in text)
    assert "waiting 120" in shown, "what was seen last stays"
    with embedded_redis(tmp_path / "redis", port=port):
        terminal.until("Redis", lambda text: "Redis has not answered" not in text and "waiting 120" in text)
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.ended() == 130
    written = terminal.written
    assert written.rfind(b"\x1b[?1049l") > written.rfind(b"\x1b[?1049h") > -1, "the screen from before is back"
    assert written.rfind(b"\x1b[?25h") > written.rfind(b"\x1b[?25l") > -1, "and so is the cursor"
    assert b"Traceback" not in terminal.written


def test_watch_has_no_colours_where_none_are_wanted_and_ends_by_sigterm_too(
    environ: dict[str, str], watch: Callable[..., Terminal], tmp_path: Path
) -> None:
    port = int(environ["STAGECREW_REDIS_URL"].rpartition(":")[2].partition("/")[0])
    with embedded_redis(tmp_path / "redis", port=port):
        terminal = watch(NO_COLOR="1")
        terminal.until("the screen", lambda text: "no workers" in text)
        terminal.process.terminate()
        assert terminal.ended() == 130
        colours = rb"\x1b\[[0-9;]*(3[0-7]|38|4[0-7]|48|9[0-7])[;m]"
        assert not re.search(colours, terminal.written)
        assert b"\x1b[?1049l" in terminal.written
