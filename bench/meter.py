"""What processes cost in CPU time and peak memory: their own accounts in /proc (Linux), or `getrusage`."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

_TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")
#: Fields of /proc/PID/stat after the program's name: user, system, and both of the children that were waited for.
_CPU_FIELDS: Final = slice(11, 15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """CPU seconds, and the largest amount of memory held at once, in bytes."""

    cpu_s: float
    peak_bytes: int

    def to_dict(self) -> dict[str, float]:
        """Return the usage as JSON has it."""
        return asdict(self)


def usage_of(pid: int) -> Usage:
    """Return what a process has used since it began. Raises OSError when there is no such process, or no /proc."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    # The program's name stands in brackets and may hold anything, brackets too.
    fields = stat.rpartition(")")[2].split()
    ticks = sum(int(field) for field in fields[_CPU_FIELDS])
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    peak_kb = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)
    return Usage(cpu_s=ticks * _TICK_S, peak_bytes=peak_kb * 1024)


def own_usage() -> Usage:
    """Return what this process has used since it began."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    # Linux counts kilobytes here, macOS bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return Usage(cpu_s=used.ru_utime + used.ru_stime, peak_bytes=used.ru_maxrss * unit)


class Meter:
    """What some processes use between two moments; each has a role, which several may share."""

    def __init__(self, pids: Mapping[int, str]) -> None:
        """Begin now: what `pids` (process id -> role) have used so far does not count."""
        self._pids = dict(pids)
        self._before = {pid: usage_of(pid) for pid in pids}

    def read(self) -> dict[str, Usage]:
        """Return for each role the CPU time of its processes together, and the peak of the largest of them."""
        found: dict[str, Usage] = {}
        for pid, role in self._pids.items():
            now = usage_of(pid)
            cpu_s = now.cpu_s - self._before[pid].cpu_s
            old = found.get(role, Usage(cpu_s=0.0, peak_bytes=0))
            found[role] = Usage(cpu_s=old.cpu_s + cpu_s, peak_bytes=max(old.peak_bytes, now.peak_bytes))
        return found
