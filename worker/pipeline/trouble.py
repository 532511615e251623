"""Turns the errors of the doors (API, store, sources) into the plain facts that decisions are made of.

It also tells the whole fleet when the API refuses to be called: a pause of the route, a lower cap, a paused account.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError

from worker.core.trouble import Cause, Trouble
from worker.katalo.errors import (
    Forbidden,
    IdempotencyConflict,
    KataloError,
    NotFound,
    NotSent,
    PaymentRequired,
    Unauthorized,
    ValidationFailed,
)
from worker.storage.errors import DownloadFailed, NotAnImage, SourceError, StoreError

if TYPE_CHECKING:
    from worker.core.photo import Photo
    from worker.core.routes import Route
    from worker.services import Services

logger = logging.getLogger(__name__)

#: How long a route is paused when the API gives no time of its own. API time, ms.
ROUTE_PAUSE_MS: Final = 2_000
#: Statuses by which a gateway says that the API behind it is down.
UNAVAILABLE: Final = frozenset({502, 503, 504})


async def from_api(services: Services, route: Route, error: KataloError) -> Trouble:
    """Return the trouble that an API error is; flow control and account trouble are made known to the fleet."""
    code = error.code or type(error).__name__
    retry_after_ms = int((error.retry_after_s or 0) * 1000)
    trouble = Trouble(
        cause=_cause(error), code=code, message=str(error), refused=error.refused, retry_after_ms=retry_after_ms
    )
    if trouble.cause is Cause.FLOW_CONTROL:
        pause_ms = services.rules.scaled(max(retry_after_ms, ROUTE_PAUSE_MS))
        await services.admission.refused(route.value, pause_ms, in_flight=error.in_flight)
        logger.warning("api refused a call", extra={"route": route.value, "code": code})
    elif trouble.cause is Cause.ACCOUNT and await services.key_was_replaced(error.key_number):
        logger.warning("api refused a key that is replaced by now", extra={"code": code})
    elif trouble.cause is Cause.ACCOUNT and await services.account.parking.park(str(error), at_least_ms=retry_after_ms):
        logger.error("account parked", extra={"reason": str(error)})
    return trouble


def from_elsewhere(error: Exception) -> Trouble:
    """Return the trouble that any other error is; what nobody foresaw is a fault of ours and says so."""
    match error:
        case SourceError():
            cause = Cause.PASSING if error.retryable else Cause.SOURCE
            return Trouble(cause=cause, code="source_unusable", message=str(error))
        case NotAnImage():
            return Trouble(cause=Cause.PASSING, code="output_unusable", message=str(error))
        case DownloadFailed():
            return Trouble(cause=Cause.PASSING, code="download_failed", message=str(error))
        case StoreError():
            return Trouble(cause=Cause.DOWN, code="store_unavailable", message=str(error))
        case RedisError():
            return Trouble(cause=Cause.PASSING, code="redis_unavailable", message=type(error).__name__)
        case _:
            message = f"{type(error).__name__} inside stagecrew; the worker's log has the details"
            return Trouble(cause=Cause.BUG, code="internal_error", message=message)


def label(photo: Photo) -> str:
    """Return a photo's name for people."""
    return f"{photo.listing_id}/{photo.photo_id}"


def _cause(error: KataloError) -> Cause:  # noqa: PLR0911 - one cause a line
    if error.is_flow_control:
        return Cause.FLOW_CONTROL
    match error:
        case Unauthorized() | Forbidden() | PaymentRequired():
            return Cause.ACCOUNT
        case IdempotencyConflict():
            return Cause.CONFLICT
        case NotFound():
            return Cause.NOT_THERE
        case ValidationFailed() if "source_asset" in str(error) or "source asset" in str(error).lower():
            return Cause.ASSET_GONE
    if isinstance(error, NotSent) or error.status in UNAVAILABLE:
        return Cause.DOWN
    if not error.refused:
        return Cause.UNANSWERED
    return Cause.PASSING if error.retryable else Cause.REJECTED
