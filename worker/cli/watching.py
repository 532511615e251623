"""Looks at the accounts again and again and shows what it sees: on a screen, or as lines."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from redis.exceptions import RedisError

from worker.cli.doors import jsonable
from worker.cli.screen import Moment, screen
from worker.cli.status import account_json
from worker.cli.terminal import duration, harmless, say
from worker.core.events import timestamp
from worker.core.photo import Stage
from worker.logs import mask

if TYPE_CHECKING:
    from rich.console import Console

    from worker.cli.doors import AccountPort
    from worker.ledger.snapshot import Snapshot

#: Failures that are read; a screen shows as many as it has room for.
_FAILURES: Final = 8
#: The rate is that of the last minute.
_RATE_OVER_MS: Final = 60_000
#: A line comes at least this often, so that silence means trouble.
_SILENCE_S: Final = 60.0
#: An answer that takes longer is worth a word, in seconds.
_PATIENCE_S: Final = 2.0


class Rate:
    """Photos that end a minute, measured while one watches."""

    def __init__(self) -> None:
        """Begin with no samples."""
        self._samples: deque[tuple[int, int]] = deque()

    def measured(self, now_ms: int, ended: int) -> float | None:
        """Return the rate over the last minute, or None when there is only one sample. Clocks may be set back."""
        if self._samples and (ended < self._samples[-1][1] or now_ms < self._samples[-1][0]):
            # Ended photos were forgotten: what is left tells nothing of the rate.
            self._samples.clear()
        self._samples.append((now_ms, ended))
        while now_ms - self._samples[0][0] > _RATE_OVER_MS:
            self._samples.popleft()
        past_ms, past = self._samples[0]
        return (ended - past) * 60_000 / (now_ms - past_ms) if now_ms > past_ms else None


class Interruption:
    """What signals tell the watch; `wake` only draws anew."""

    def __init__(self) -> None:
        """Nothing was told yet."""
        self.stopped = False
        self._event = asyncio.Event()

    def stop(self) -> None:
        """End the watch."""
        self.stopped = True
        self._event.set()

    def wake(self) -> None:
        """Show anew what was seen last."""
        self._event.set()

    async def within(self, seconds: float) -> bool:
        """Wait for so long; return True at once when something is told."""
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True


class View(Protocol):
    """Shows moments; a context manager that leaves the terminal as it was."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(self, *trouble: object) -> None:
        """Leave the terminal as it was."""

    def show(self, moments: Sequence[Moment], trouble: str | None) -> None:
        """Show the accounts; with `trouble` they are those of the last look, and it says why."""


async def follow(
    ledgers: Mapping[str, AccountPort],
    view: View,
    interruption: Interruption,
    *,
    interval_s: float,
    times: int | None = None,
) -> None:
    """Look until interrupted, or so many times. Raises RedisError when the very first look fails."""
    rates = {name: Rate() for name in ledgers}
    moments: Sequence[Moment] = ()
    looks, trouble, away_s = 0, None, time.monotonic()
    while not interruption.stopped:
        look = asyncio.ensure_future(_look(ledgers, rates))
        try:
            while not (await asyncio.wait({look}, timeout=_PATIENCE_S))[0] and not interruption.stopped:
                if moments:
                    view.show(moments, _since(away_s, trouble or "no answer yet"))
            if interruption.stopped:
                return
            moments, trouble, away_s = await look, None, time.monotonic()
            looks += 1
            view.show(moments, None)
        except (RedisError, OSError) as error:
            # What can't be written any more is no trouble of Redis's; nor is the first look's, which ends the command.
            if not moments or isinstance(error, BrokenPipeError):
                raise
            trouble = str(error) or type(error).__name__
            view.show(moments, _since(away_s, trouble))
        finally:
            look.cancel()
        if looks == times:
            return
        wake_s = time.monotonic() + interval_s
        while not interruption.stopped and await interruption.within(wake_s - time.monotonic()):
            view.show(moments, _since(away_s, trouble) if trouble else None)


async def _look(ledgers: Mapping[str, AccountPort], rates: Mapping[str, Rate]) -> list[Moment]:
    moments = []
    for name, ledger in ledgers.items():
        snapshot = await ledger.snapshot()
        failures = [
            view
            for stage in (Stage.FAILED, Stage.UNCERTAIN)
            if snapshot.stages.get(stage, 0)
            for view in await ledger.photos(stage, limit=_FAILURES)
        ]
        failures.sort(key=lambda view: -view.stage_since_ms)
        seen = Moment(snapshot=snapshot, prospect=await ledger.prospect(), rate_per_min=None, failures=())
        moments.append(
            Moment(
                snapshot=snapshot,
                prospect=seen.prospect,
                rate_per_min=rates[name].measured(snapshot.now_ms, seen.ended),
                failures=tuple(failures[:_FAILURES]),
            )
        )
    return moments


def _since(away_s: float, reason: str) -> str:
    """Return the trouble for people."""
    away = duration(time.monotonic() - away_s)
    return f"Redis has not answered for {away}: {harmless(mask(reason))}; it is asked again and again"


class Screen:
    """Draws the whole terminal, and gives it back as it was."""

    def __init__(self, console: Console) -> None:
        """`console` is a terminal's."""
        from rich.live import Live  # noqa: PLC0415 - only where there is a terminal

        self._console = console
        self._live: Any = Live(console=console, auto_refresh=False, screen=True)

    def __enter__(self) -> Self:
        """Take the terminal."""
        self._live.__enter__()
        return self

    def __exit__(self, *trouble: object) -> None:
        """Give it back."""
        self._live.__exit__(None, None, None)

    def show(self, moments: Sequence[Moment], trouble: str | None) -> None:
        """Draw in the size that the terminal has now."""
        width, height = self._console.size
        drawn = screen(moments, width=width, height=height, trouble=trouble)
        self._live.update(drawn, refresh=True)


class Lines:
    """Prints a line for each account when something has changed, and once a minute when nothing has."""

    def __init__(self, *, as_json: bool) -> None:
        """`as_json`: a JSON object a line."""
        self._as_json = as_json
        self._shown: dict[str, str] = {}
        self._said_s: dict[str, float] = {}
        self._trouble = False

    def __enter__(self) -> Self:
        """Nothing to begin."""
        return self

    def __exit__(self, *trouble: object) -> None:
        """Nothing to undo."""

    def show(self, moments: Sequence[Moment], trouble: str | None) -> None:
        """Print what is news."""
        if trouble is not None:
            if not self._trouble:
                say(json.dumps({"trouble": trouble}) if self._as_json else trouble)
            self._trouble = True
            return
        if self._trouble:
            self._trouble = False
            self._shown.clear()
        for moment in moments:
            self._line(moment, named=len(moments) > 1)

    def _line(self, moment: Moment, *, named: bool) -> None:
        name, news, now_s = moment.snapshot.account, summary(moment.snapshot), time.monotonic()
        if news == self._shown.get(name) and now_s - self._said_s[name] < _SILENCE_S:
            return
        self._shown[name], self._said_s[name] = news, now_s
        if self._as_json:
            say(json.dumps(moment_json(moment)))
        else:
            parts = [timestamp(moment.snapshot.now_ms)[:19] + "Z", f"{name}: " * named + news, *_forecast(moment)]
            say(f"{parts[0]}  {' | '.join(parts[1:])}")


def moment_json(moment: Moment) -> dict[str, Any]:
    """Return a moment as `--json` prints it: what `status --json` has, with the rate, the end and the failures."""
    more = {
        "rate_per_min": moment.rate_per_min,
        "eta_s": moment.eta_s,
        "failures": jsonable(moment.failures),
    }
    return {**account_json(moment.snapshot, moment.prospect), **more}


def _forecast(moment: Moment) -> list[str]:
    """Return what changes with the mere passing of time."""
    parts = [f"{moment.rate_per_min:.1f} photos/min"] if moment.rate_per_min is not None else []
    return [*parts, f"about {duration(moment.eta_s)} left"] if moment.eta_s is not None else parts


def summary(snapshot: Snapshot) -> str:
    """Return the account in one line, without what only time changes."""
    parts = [f"{stage} {photos}" for stage, photos in snapshot.stages.items() if photos]
    line = f"{' '.join(parts) or 'no photos'} | slots {snapshot.slots_used}/{snapshot.slots_cap}"
    line += f" | workers {len(snapshot.workers)}"
    reasons = [snapshot.paused_reason, *snapshot.pauses]
    return " | ".join([line, *(harmless(f"PAUSED: {reason}") for reason in reasons if reason)])
