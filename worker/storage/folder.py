"""Files as objects: what was written is there whole, or not at all, whatever ends the process.

One call in one thread each: the way through a general store's own threads costs ten times the writing of a small file.
"""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path


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
