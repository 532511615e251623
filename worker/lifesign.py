"""A sign of life: it says that the process's event loop turns, to whoever starts it again when it does not.

A file (STAGECREW_ALIVE_FILE) that is touched once a second, for containers: its age is the check, which costs no port,
no interpreter and no call to Redis. And systemd's notifications, where it asks for them: ready, alive, stopping.
Neither says anything of Redis or the API: a worker that waits for them is healthy, and starting it again would mend
nothing.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)

#: One beat, in seconds; a check should allow for thirty.
BEAT_S: Final = 1.0


class Lifesign:
    """Beats as long as the loop turns."""

    def __init__(self, file: Path | None, environ: Mapping[str, str] = os.environ) -> None:
        """`file`: touched at each beat; `environ`: where systemd says how to tell it (NOTIFY_SOCKET)."""
        self._file = file
        self._systemd = environ.get("NOTIFY_SOCKET", "")

    def begin(self) -> None:
        """Make the file. Raises OSError when it can't be written."""
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.touch()

    async def beat_for_ever(self) -> None:
        """Beat until cancelled; then the file is gone."""
        self._tell("READY=1")
        try:
            while True:
                try:
                    if self._file is not None:
                        self._file.touch()
                except OSError as error:
                    logger.warning("no sign of life written", extra={"file": str(self._file), "reason": str(error)})
                self._tell("WATCHDOG=1")
                await asyncio.sleep(BEAT_S)
        finally:
            if self._file is not None:
                with suppress(OSError):
                    self._file.unlink(missing_ok=True)

    def stopping(self) -> None:
        """Say that the process is about to end."""
        self._tell("STOPPING=1")

    def _tell(self, what: str) -> None:
        if not self._systemd:
            return
        # An abstract socket's name begins with a zero byte, written as @.
        address = f"\0{self._systemd[1:]}" if self._systemd.startswith("@") else self._systemd
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
                out.setblocking(False)
                out.sendto(what.encode(), address)
        except OSError as error:
            logger.warning("systemd was not told", extra={"what": what, "reason": str(error)})
