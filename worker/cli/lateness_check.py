"""The doctor's look for photos that are stuck: late, although workers are there and nothing holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from worker.cli.finding import Check, Finding, bad, note, ok
from worker.cli.terminal import count, duration
from worker.ledger.lateness import LEASES, SLOTS, Late, Lateness

if TYPE_CHECKING:
    from config.settings import Settings

#: Whatever is late by less is on its way: a step may be retried, a budget paused for minutes.
GRACE_MS: Final = 10 * 60_000


async def stuck(settings: Settings) -> list[Finding]:
    """Return what is stuck in the settings' account. Raises `redis.exceptions.RedisError`."""
    from worker.services import open_account  # noqa: PLC0415 - `--help` must not wait for it

    async with open_account(settings) as account:
        job_ms = int(settings.job_deadline_s * 1000 / settings.speed)
        late = await Lateness(account.scripts).late(grace_ms=GRACE_MS, job_ms=job_ms)
    return findings(late)


def findings(late: list[Late]) -> list[Finding]:
    """Return a finding for each way of being late; one that is well when nothing is."""
    return [_of(one) for one in late] or [ok(Check.STUCK, "no photo is late")]


def _of(late: Late) -> Finding:
    photos = f"{count(late.count, 'photo')} ({', '.join(late.names)}{', ...' if late.count > len(late.names) else ''})"
    by = duration(late.late_ms / 1000)
    if late.what == SLOTS:
        text = f"{photos} in flight longer than jobs take, by {by}"
        return note(Check.STUCK, text, "`stagecrew status LISTING` says why; ask Katalo for the job", subject=late.what)
    if late.what == LEASES:
        text = f"{photos} with a worker that was lost, {by} ago"
        return bad(
            Check.STUCK, text, "no worker leads, or Redis is overloaded: look at workers' logs", subject="leases"
        )
    text = f"{photos} due for {by}"
    remedy = "are the workers' hands busy, or a route paused? `stagecrew status` shows both"
    return bad(Check.STUCK, text, remedy, subject=late.what)
