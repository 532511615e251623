"""Everything that can go wrong with one call, as one tree.

    KataloError
    |-- NotSent               certain: no request reached the API
    |-- OutcomeUnknown        it may have: sent, and no usable answer came back
    |-- ServerTrouble         5xx
    `-- Refused               4xx: certain that nothing was created
        |-- BadRequest            400
        |-- Unauthorized          401
        |-- Forbidden             403
        |-- NotFound              404
        |-- IdempotencyConflict   409
        |-- ValidationFailed      422
        |-- RateLimited           429
        `-- UnexpectedStatus      any other, redirects included

`error_from_response` builds the right one from any answer, enveloped or not (contract, sections 4 and 12: 22 to 26, 30).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from worker.katalo.retry_after import retry_after_s

#: What of an answer's text goes into a message.
MAX_MESSAGE_CHARACTERS: Final = 300
#: Without a flag of the API's own these statuses are worth another try (section 12, point 24), and 5xx.
RETRYABLE: Final = frozenset({408, 425, 429})
#: Never retried at once, whatever the flag says (section 12, point 24).
NEVER_AT_ONCE: Final = frozenset({401, 403, 409, 422})
#: A refusal with one of these codes is about the request or the key, not about how much is in flight.
_OWN_CODES: Final = frozenset({"idempotency_conflict", "validation_error", "unauthorized", "forbidden"})

_QUERY = re.compile(r"(https?://[^\s\"'<>?]+)\?[^\s\"'<>]*")
_KEY = re.compile(r"kat_[a-z]+_[A-Za-z0-9._-]+")
_TAG = re.compile(r"<[^>]*>")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_IN_FLIGHT = re.compile(r"in[\s_-]?flight|concurren|simultaneous|parallel", re.IGNORECASE)


class KataloError(Exception):
    """A call to the Katalo API did not succeed."""

    def __init__(  # noqa: PLR0913 - the facts of one failure
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
        self.status = status
        self.code = code
        self.retryable = retryable
        self.retry_after_s = retry_after_s
        self._flagged = flagged
        self._api_message = clean(message)
        seen = f" ({status}{f' {code}' if code else ''})" if status else ""
        super().__init__(f"{request}: {self._api_message}{seen}")

    @property
    def refused(self) -> bool:
        """Whether it is certain that nothing was created."""
        return isinstance(self, NotSent | Refused)

    @property
    def is_flow_control(self) -> bool:
        """Whether the API protects itself: nothing is wrong with the request, it may come later."""
        if self.status == 429:  # noqa: PLR2004
            return True
        return (
            self.status in {403, 409, 422} and self._flagged and self.retryable and self.code not in _OWN_CODES
        )

    @property
    def in_flight(self) -> bool:
        """Whether it speaks of too many jobs at once."""
        return self.is_flow_control and bool(_IN_FLIGHT.search(f"{self.code} {self._api_message}"))


class NotSent(KataloError):
    """No request reached the API: it could not be connected to."""


class OutcomeUnknown(KataloError):
    """The request was sent and no usable answer came back: it may have taken effect."""


class ServerTrouble(KataloError):
    """The API failed (5xx): it may have taken effect."""


class Refused(KataloError):
    """The API refused the request: nothing was created."""


class BadRequest(Refused):
    """400: the request is malformed."""


class Unauthorized(Refused):
    """401: the key is missing, malformed or revoked; check KATALO_API_KEY."""


class Forbidden(Refused):
    """403: the organisation is not entitled; check its API access and billing in the Katalo dashboard."""


class NotFound(Refused):
    """404: the object is not there for this organisation."""


class IdempotencyConflict(Refused):
    """409: the key was used with another payload; the original exists."""


class ValidationFailed(Refused):
    """422: the settings do not go together; the message says which."""


class RateLimited(Refused):
    """429: a limit of the key, the organisation or the address."""


class UnexpectedStatus(Refused):
    """Any other status, redirects included."""


_BY_STATUS: Final[Mapping[int, type[KataloError]]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: IdempotencyConflict,
    422: ValidationFailed,
    429: RateLimited,
}


def error_from_response(
    request: str, status: int, body: bytes, headers: Mapping[str, str], now: datetime
) -> KataloError:
    """Return the error that an answer other than 2xx is; `now` dates a `Retry-After`."""
    envelope = _envelope(body)
    flag = envelope.get("retryable")
    flagged = isinstance(flag, bool)
    kind = ServerTrouble if status >= 500 else _BY_STATUS.get(status, UnexpectedStatus)  # noqa: PLR2004
    retryable = bool(flag) if flagged else status in RETRYABLE or status >= 500  # noqa: PLR2004
    code = envelope.get("code")
    message = envelope.get("message")
    return kind(
        request,
        message if isinstance(message, str) and message.strip() else _text(body) or f"answered {status}",
        status=status,
        code=clean(code) if isinstance(code, str) else None,
        retryable=retryable,
        retry_after_s=retry_after_s(envelope.get("retry_after"), headers.get("retry-after"), now=now),
        flagged=flagged,
    )


def clean(text: str) -> str:
    """Return text of the API's that is fit for a log: short, one line, no markup, no signed query, no key."""
    text = _KEY.sub("kat_***", _QUERY.sub(r"\1?***", text[: 20 * MAX_MESSAGE_CHARACTERS]))
    return _CONTROL.sub(" ", text).strip()[:MAX_MESSAGE_CHARACTERS]


def _envelope(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    error = found.get("error", found)
    if isinstance(error, str):
        return {"message": error}
    return error if isinstance(error, dict) else {}


def _text(body: bytes) -> str:
    text = body[: 20 * MAX_MESSAGE_CHARACTERS].decode("utf-8", "replace")
    return " ".join(_TAG.sub(" ", text).split())
