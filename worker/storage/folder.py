"""Files as objects: what was written is there whole, or not at all, whatever ends the process.

The way into a thread and back costs as much as writing a small file, so what comes while a thread is at it goes
together.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
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


def read_whole(path: Path) -> bytes | None:
    """Return a file's bytes, or None when there is none. Raises OSError."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
