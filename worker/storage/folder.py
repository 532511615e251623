"""Files as objects: what was written is there whole, or not at all, whatever ends the process.

The way into a thread and back costs as much as writing a small file, so what comes while a thread is at it goes
together.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import secrets
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from worker.gathering import Gathering


class Disk:
    """Runs calls that block on files in one thread at a time, in the order in which they came."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._calls: Gathering[Callable[[], Any], Any] = Gathering(self._together)

    async def run(self, call: Callable[[], Any]) -> Any:
        """Return what `call` returns. Raises what it raises."""
        result = await self._calls(call)
        if isinstance(result, Exception):
            raise result
        return result

    async def _together(self, calls: Sequence[Callable[[], Any]]) -> list[Any]:
        return await asyncio.to_thread(lambda: [_tried(call) for call in calls])


def _tried(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - handed to whoever asked for it
        return error


def write_whole(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all, over what is there; its folders are made. Raises OSError."""
    # Two writers of one object, on whatever hosts, have names of their own.
    beside = path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")
    try:
        try:
            beside.write_bytes(data)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_bytes(data)
        beside.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def read_whole(path: Path, *, longest_bytes: int) -> bytes | None:
    """Return a file's bytes, or None when there is none. Raises OSError.

    More than `longest_bytes` is not read: the answer is then one byte longer than that. What is no plain file is not
    opened, because a pipe would hold up everything else that is read, and a device never ends.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise OSError(errno.EINVAL, "it is no plain file")
        with path.open("rb") as file:
            return file.read(longest_bytes + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
