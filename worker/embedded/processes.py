"""Child processes that end with their parent, however it ends."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import IO, Final

#: `prctl`'s number for "signal me when my parent ends" (linux/prctl.h).
_PR_SET_PDEATHSIG: Final = 1
#: Loaded before any fork: between fork and exec a child of a threaded program must not import or load.
_LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None


def spawn(
    command: Sequence[str],
    *,
    environ: Mapping[str, str] | None = None,
    output: IO[bytes] | int | None = None,
    own_group: bool = True,
    at_parents_end: signal.Signals = signal.SIGKILL,
) -> subprocess.Popen[bytes]:
    """Start `command`; on Linux it gets `at_parents_end` when the thread that started it ends without stopping it.

    With `own_group` a Ctrl-C in the terminal reaches the parent only, which then stops its children in order. Raises
    OSError when the program can't be started.
    """
    parent = os.getpid()

    def end_with_parent() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, int(at_parents_end))
            if os.getppid() != parent:  # the parent was gone before the call
                os._exit(1)

    return subprocess.Popen(  # noqa: S603 - our own commands
        list(command),
        env=None if environ is None else dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output is not None else None,
        start_new_session=own_group,
        preexec_fn=end_with_parent,  # noqa: PLW1509 - two system calls, no lock is taken
    )


def stop(process: subprocess.Popen[bytes], *, within_s: float) -> int:
    """Ask a process to end, wait `within_s` seconds, kill it when it has not; return its exit code."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(within_s)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()
