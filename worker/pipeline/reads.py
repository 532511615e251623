"""Reads of the API that belong to no photo: usage, billing, a job by hand. Each takes its grant like any other call.

Whoever reads is one more process of the fleet, the command line too: a refusal pauses the route for all, and what
passes by itself is waited for, up to a deadline.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar
from uuid import uuid4

from worker.core.backoff import retry_delay_ms
from worker.core.routes import Route
from worker.flow.admission import Granted
from worker.flow.parking import ParkingState
from worker.katalo.errors import KataloError
from worker.pipeline.trouble import ROUTE_PAUSE_MS

if TYPE_CHECKING:
    from worker.ledger.usage import UsageRead
    from worker.services import Services

T = TypeVar("T")

#: Tries of one read that meets passing troubles.
TRIES: Final = 6
#: The longest wait for grants and passing troubles of one read, in seconds.
LONGEST_S: Final = 120.0


class NoGrant(Exception):  # noqa: N818 - named after what happened
    """No grant in time: the budget is used up, paused, or held after a restart of Redis; or the account is parked."""


async def read(
    services: Services,
    route: Route,
    call: Callable[[], Awaitable[T]],
    *,
    probe: bool = False,
    longest_s: float = LONGEST_S,
) -> T:
    """Make one read within its budget. Raises KataloError, NoGrant, RedisError.

    `probe`: the read that finds out whether a parked account is mended, which its own pause does not hold.
    """
    deadline_s = time.monotonic() + longest_s
    tries = 0
    while True:
        await _granted(services, route, deadline_s, probe=probe)
        try:
            return await call()
        except KataloError as error:
            tries += 1
            if error.is_flow_control:
                pause_ms = services.rules.scaled(max(int((error.retry_after_s or 0) * 1000), ROUTE_PAUSE_MS))
                await services.admission.refused(route.value, pause_ms)
            if tries >= TRIES or not error.retryable or time.monotonic() >= deadline_s:
                raise
            await asyncio.sleep(services.rules.scaled(retry_delay_ms(tries, services.jitter())) / 1000)


async def read_usage(services: Services, *, probe: bool = False, longest_s: float = LONGEST_S) -> UsageRead:
    """Read the usage summary and keep it for the whole fleet. Raises KataloError, NoGrant, RedisError."""
    summary = await read(services, Route.USAGE, services.katalo.usage, probe=probe, longest_s=longest_s)
    return await services.account.usage.write(summary)


async def _granted(services: Services, route: Route, deadline_s: float, *, probe: bool) -> None:
    budget = services.limits.budgets[route]
    while True:
        answer = await services.admission.grant(budget, uuid4().hex, probe=probe)
        if isinstance(answer, Granted):
            if answer.still_good():
                return
            continue
        parked = None if probe else await services.account.parking.state()
        if parked is not None and parked.state is ParkingState.PARKED:
            # Nobody knows for how long: whoever asks is told why instead of waiting.
            message = f"the account is parked, so nothing is read for it: {parked.reason}"
            raise NoGrant(message)
        wait_s = answer.ms / 1000
        if time.monotonic() + wait_s > deadline_s:
            message = f"the budget of {route.value} gives no call for {wait_s:.0f} s more; `stagecrew status` says why"
            raise NoGrant(message)
        await asyncio.sleep(wait_s)
