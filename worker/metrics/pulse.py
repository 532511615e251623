"""Whether a worker process is well, as told from outside its event loop: a loop that hangs can't say so itself.

`alive` is false when the loop has not turned for `HANGS_S`, or a heartbeat has hung for `SILENT_S`; then the process
should be replaced. A Redis that is away is no reason: another process would meet it too. `ready` says whether the
heartbeats come through and the worker takes work.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from worker.metrics.meters import Meters

#: How often the loop says that it turns, in seconds.
TICK_S: Final = 1.0
#: A loop that is silent for so long hangs; a step's own work never takes a tenth of it.
HANGS_S: Final = 30.0
#: A heartbeat that has neither succeeded nor failed for so long hangs.
SILENT_S: Final = 90.0
#: Heartbeats come each second; so long after the last the fleet counts this worker as gone.
HEARD_S: Final = 15.0


class Beat:
    """The heartbeats of one account, noted by its dispatcher."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """`now`: a monotonic clock, in seconds."""
        self._now = now
        #: When a heartbeat last ended in whatever way, and when Redis last took one.
        self.turned_s = self.heard_s = now()
        self.draining = False

    def heard(self) -> None:
        """Note a heartbeat that Redis took."""
        self.turned_s = self.heard_s = self._now()

    def failed(self) -> None:
        """Note a heartbeat that Redis did not take."""
        self.turned_s = self._now()


class Pulse:
    """What is known of the process; written by its loop, read by other threads."""

    def __init__(self, meters: Meters, now: Callable[[], float] = time.monotonic) -> None:
        """`now`: a monotonic clock, in seconds."""
        self._meters = meters
        self._now = now
        self._ticked_s = now()
        self._beats: dict[str, Beat] = {}

    async def tick_for_ever(self) -> None:
        """Say each second that the loop turns, and note how late it is."""
        while True:
            self._ticked_s = before_s = self._now()
            await asyncio.sleep(TICK_S)
            self._meters.loop_lag(max(0.0, self._now() - before_s - TICK_S))

    def serves(self, account: str, beat: Beat) -> None:
        """Watch the heartbeats of an account."""
        self._beats[account] = beat

    def leaves(self, account: str) -> None:
        """Watch them no more: the account is not served now, and is tried again."""
        self._beats.pop(account, None)

    def trouble(self) -> str | None:
        """Return why the process should be replaced, or None."""
        now_s = self._now()
        if now_s - self._ticked_s > HANGS_S:
            return f"the event loop has hung for {now_s - self._ticked_s:.0f} s"
        for account, beat in list(self._beats.items()):
            if not beat.draining and now_s - beat.turned_s > SILENT_S:
                return f"account {account}: the heartbeat has hung for {now_s - beat.turned_s:.0f} s"
        return None

    def not_ready(self) -> str | None:
        """Return why the worker takes no work now, or None."""
        if (trouble := self.trouble()) is not None:
            return trouble
        now_s, beats = self._now(), dict(self._beats)
        if not beats:
            return "no account is served"
        if any(beat.draining for beat in beats.values()):
            return "it is stopping"
        away = [account for account, beat in beats.items() if now_s - beat.heard_s > HEARD_S]
        return f"Redis takes no heartbeat (account {', '.join(sorted(away))})" if len(away) == len(beats) else None
