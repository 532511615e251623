"""Everything that can go wrong with one call, as one tree.

    KataloError
    |-- NotSent               certain: no request reached the API
    |-- OutcomeUnknown        it may have: sent, and no usable answer came back
    |-- ServerTrouble         5xx: it may have taken effect
    |-- UnexpectedStatus      any status without a class of its own, redirects included
    `-- Refused               certain that nothing was created
        |-- BadRequest            400
        |-- Unauthorized          401
        |-- PaymentRequired       402
        |-- Forbidden             403
        |-- NotFound              404
        |-- IdempotencyConflict   409
        |-- ValidationFailed      422
        `-- RateLimited           429

`error_from_response` builds the right one from any answer, enveloped or not (contract, sections 4 and 12: 22 to 26,
30). A message names the call, what the API said and what to do; it never holds a key or a signed query.
"""
# ruff: noqa: N818 - the names say what happened, as the contract does; the base alone says that it is an error

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import ClassVar, Final

from worker.katalo.fields import filled, flag, identifier
from worker.katalo.masking import MAX_LOOKED_AT, clean
from worker.katalo.retry_after import retry_after_s

#: Without a flag of the API's own these statuses are worth another try, and 5xx (section 12, point 24).
RETRYABLE: Final = frozenset({408, 425, 429})
#: Never retried at once, whatever the flag says (section 12, point 24): at least this long after, in seconds.
NEVER_AT_ONCE: Final = frozenset({401, 403, 409, 422})
NOT_AT_ONCE_S: Final = 2.0
#: The range of statuses with which nothing was created. 408 is not of it: gateways use it for answers that came late.
_REFUSALS: Final = range(400, 500)
_SERVER_TROUBLE: Final = 500
#: Statuses by which the API may say "too much at once" besides 429 (section 12, point 30) ...
_FLOW_CONTROL: Final = frozenset({403, 409, 422})
#: ... unless one of these codes says that the request or the key is what is wrong.
_OWN_CODES: Final = frozenset({"idempotency_conflict", "validation_error", "unauthorized"})

_TAG = re.compile(r"<[^<>]*>")
_IN_FLIGHT = re.compile(
    r"in[\s_-]?flight|concurren|simultaneous|in parallel|parallel jobs|active (generation )?jobs|jobs (are )?running",
    re.IGNORECASE,
)
_MESSAGE_FIELDS: Final = ("message", "detail", "error_description", "title", "msg", "reason")
_DETAIL_FIELDS: Final = ("details", "errors", "fields", "issues")


class KataloError(Exception):
    """A call to the Katalo API did not succeed."""

    #: What the operator can do about it; part of every message.
    remedy: ClassVar[str] = ""

    def __init__(
        self,
        request: str,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        retryable: bool = False,
        retry_after_s: float | None = None,
        flagged: bool = False,
    ) -> None:
        """`request` names the call; `flagged`: the API said `retryable` itself."""
        self.request = request
        self.message = clean(message)
        self.status = status
        self.code = code
        self.retryable = retryable
        self.retry_after_s = retry_after_s
        self._flagged = flagged
        #: The client's `key_number` when the call was sent: an answer says nothing of a later key.
        self.key_number = 0
        seen = f" ({status}{f' {code}' if code else ''})" if status else ""
        super().__init__(f"{request}: {self.message}{seen}" + (f"; {self.remedy}" if self.remedy else ""))

    @property
    def refused(self) -> bool:
        """Whether it is certain that nothing was created."""
        return False

    @property
    def is_flow_control(self) -> bool:
        """Whether the API protects itself: nothing is wrong with the request, it may come later."""
        if self.status == HTTPStatus.TOO_MANY_REQUESTS:
            return True
        return self.status in _FLOW_CONTROL and self._flagged and self.retryable and self.code not in _OWN_CODES

    @property
    def in_flight(self) -> bool:
        """Whether it is flow control that speaks of too many jobs at once: a guess by its code and words."""
        return self.is_flow_control and bool(_IN_FLIGHT.search(f"{self.code} {self.message}"))


class NotSent(KataloError):
    """No request reached the API."""

    @property
    def refused(self) -> bool:
        """Always: nothing was sent."""
        return True


class OutcomeUnknown(KataloError):
    """The request was sent and no usable answer came back: it may have taken effect."""

    remedy = "repeat it unchanged; a write under the same Idempotency-Key only"


class ServerTrouble(KataloError):
    """The API failed (5xx): it may have taken effect."""

    remedy = "repeat it later, unchanged; a write under the same Idempotency-Key only"


class UnexpectedStatus(KataloError):
    """A status that the contract doesn't name; redirects are not followed."""

    remedy = "check that KATALO_BASE_URL is the API's own address"

    @property
    def refused(self) -> bool:
        """Only what is a client error for certain."""
        return self.status in _REFUSALS and self.status != HTTPStatus.REQUEST_TIMEOUT


class Refused(KataloError):
    """The API refused the request: nothing was created."""

    @property
    def refused(self) -> bool:
        """Always: that is what it says."""
        return True


class BadRequest(Refused):
    """400: the request is malformed."""

    remedy = "correct the request and enqueue the photo again"


class Unauthorized(Refused):
    """401: the key is missing, malformed or revoked."""

    remedy = "check the key: KATALO_API_KEY, or the one in the accounts file"


class PaymentRequired(Refused):
    """402: the allowance is used up, or nobody pays; the contract does not name it."""

    remedy = "check allowance and billing of the organisation in the Katalo dashboard"


class Forbidden(Refused):
    """403: the organisation or its key may not do this."""

    remedy = "check API access and billing of the organisation in the Katalo dashboard"


class NotFound(Refused):
    """404: the object is not there for this organisation."""

    remedy = "check that it is of the same organisation as KATALO_API_KEY"


class IdempotencyConflict(Refused):
    """409: the key was used with another payload; the original exists."""

    remedy = "look for the original before anything is created again"


class ValidationFailed(Refused):
    """422: the settings do not go together; the message says which."""

    remedy = "correct the photo's settings and enqueue it again"


class RateLimited(Refused):
    """429: a limit of the key, the organisation or the address."""

    remedy = "it is sent again later by itself"


_BY_STATUS: Final[Mapping[int, type[KataloError]]] = {
    400: BadRequest,
    401: Unauthorized,
    402: PaymentRequired,
    403: Forbidden,
    404: NotFound,
    409: IdempotencyConflict,
    422: ValidationFailed,
    429: RateLimited,
}


def error_from_response(
    request: str, status: int, body: bytes, headers: Mapping[str, str], now: datetime
) -> KataloError:
    """Return the error that an answer other than 2xx is; `now` (aware) dates a `Retry-After`. Raises nothing."""
    envelope = _envelope(body)
    said = flag(envelope.get("retryable"))
    failed = status >= _SERVER_TROUBLE
    kind = ServerTrouble if failed else _BY_STATUS.get(status, UnexpectedStatus)
    code = identifier(envelope.get("code"))
    wait_s = retry_after_s(envelope.get("retry_after"), headers.get("retry-after"), now=now)
    error = kind(
        request,
        _message(envelope) or _text(body) or f"answered {status} without a reason",
        status=status,
        code=(clean(code) or None) if code else None,
        retryable=said if said is not None else failed or status in RETRYABLE,
        retry_after_s=wait_s,
        flagged=said is not None,
    )
    if status in NEVER_AT_ONCE and error.retryable and not error.is_flow_control:
        error.retry_after_s = max(NOT_AT_ONCE_S, wait_s or 0.0)
    return error


def _envelope(body: bytes) -> Mapping[str, object]:
    """Return the part of an answer that has its code and message, in the documented form or a usual other one."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {"message": found}
    inner = found.get("error")
    if isinstance(inner, str):
        inner = {**found, "message": filled(found.get("message")) or inner}
    several = found.get("errors")
    if inner is None and isinstance(several, list) and several and _message(found) is None:
        inner = several[0]
    return inner if isinstance(inner, dict) else found


def _message(envelope: Mapping[str, object]) -> str | None:
    """Return the message with its details, as far as there are any."""
    message = next((text for name in _MESSAGE_FIELDS if (text := filled(envelope.get(name)))), None)
    details = next((found for name in _DETAIL_FIELDS if (found := envelope.get(name))), None)
    if message is None or not isinstance(details, list | dict):
        return message
    try:
        return f"{message} {json.dumps(details, ensure_ascii=False)}"
    except (ValueError, RecursionError):
        return message


def _text(body: bytes) -> str:
    """Return the words of an answer that is a page or bare text."""
    return clean(_TAG.sub(" ", body[:MAX_LOOKED_AT].decode("utf-8", "replace")))
