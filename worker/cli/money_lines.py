"""What `status` says of money: who waits for a cap, since when the account is parked, what is left of the allowance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.core.events import clock_text
from worker.ledger.usage import remaining

if TYPE_CHECKING:
    from worker.ledger.snapshot import Snapshot


def money_lines(snapshot: Snapshot) -> list[str]:
    """Return the lines, none when there is nothing to say."""
    lines = []
    if snapshot.parked is not None:
        trial = snapshot.parked.state == "trial"
        again = "its calls are tried again" if trial else f"probed again at {clock_text(snapshot.parked.next_probe_ms)}"
        why = f" ({snapshot.parked.reason})" if trial else ""
        lines.append(f"parked since {clock_text(snapshot.parked.since_ms)} UTC{why}; {again}, and it goes on by itself")
    lines += [f"CAPPED: {view.describe()}" for view in snapshot.capped]
    if snapshot.bought_today:
        lines.append(f"bought today (UTC): {snapshot.bought_today:,}")
    if snapshot.usage is not None and (left := remaining(snapshot.usage.summary)) is not None:
        lines.append(f"left of the included allowance: {left:,f} (read at {clock_text(snapshot.usage.read_ms)} UTC)")
    return lines
