"""What may happen to a call on its way, and how often: pure. A route's weather is drawn anew for each call."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Mishap(StrEnum):
    """One thing that happens to one call."""

    CUT_REQUEST = "cut_request"  #: half of it arrives, then the connection breaks: no effect
    CUT_ANSWER = "cut_answer"  #: it takes effect; half of the answer comes
    LOST_ANSWER = "lost_answer"  #: it takes effect; no answer comes
    SLOW = "slow"  #: it takes effect; the answer comes late
    ERROR_500 = "error_500"  #: no effect, 500 in the API's envelope
    LATE_500 = "late_500"  #: it takes effect, and the answer is 500 all the same
    HTML_502 = "html_502"  #: no effect, a load balancer's page
    HTML_200 = "html_200"  #: no effect, a page with status 200
    CUT_JSON = "cut_json"  #: it takes effect; the answer is whole by its length, its content is not
    WRONG_JSON = "wrong_json"  #: it takes effect; the answer is of something else
    LIMITED = "limited"  #: no effect, 429
    S3_SLOW_DOWN = "s3_slow_down"  #: no effect, 503 as S3 says it
    S3_FORBIDDEN = "s3_forbidden"  #: no effect, 403 as S3 says it
    S3_REGION = "s3_region"  #: no effect, the bucket is in another region
    UNAVAILABLE = "unavailable"  #: no effect, 503


#: The call never reaches the server.
WITHOUT_EFFECT: Final = frozenset(
    {
        Mishap.ERROR_500,
        Mishap.HTML_502,
        Mishap.HTML_200,
        Mishap.LIMITED,
        Mishap.S3_SLOW_DOWN,
        Mishap.S3_FORBIDDEN,
        Mishap.S3_REGION,
        Mishap.UNAVAILABLE,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """The shares (0 to 1) of calls that meet each mishap; `down`: nobody is reached at all."""

    shares: Mapping[Mishap, float] = field(default_factory=dict)
    down: bool = False
    #: How late a slow answer is, at least and at most, in seconds of real time.
    slow_s: tuple[float, float] = (0.2, 1.5)

    def draw(self, dice: random.Random) -> Mishap | None:
        """Return what happens to the next call."""
        left = dice.random()
        for mishap, share in self.shares.items():
            left -= share
            if left < 0:
                return mishap
        return None


FAIR: Final = Weather()


def _envelope(code: str, message: str, retry_after_s: float | None) -> bytes:
    error = {"code": code, "message": message, "retryable": True, "retry_after": retry_after_s}
    return json.dumps({"error": error}).encode()


def _s3(code: str, message: str) -> bytes:
    return f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'.encode()


_PAGE: Final = b"<!doctype html><html><head><title>Sorry</title></head><body><h1>Something is wrong</h1></body></html>"
_ELSEWHERE: Final = "The authorization header is malformed; the region is wrong; expecting 'eu-central-1'"
#: What a 429 asks for, in seconds of the API's time.
_RETRY_AFTER_S: Final = 5.0
#: Answers that no server gave: status, media type, body.
_SAID: Final[Mapping[Mishap, tuple[int, str, bytes]]] = {
    Mishap.ERROR_500: (500, "application/json", _envelope("internal_error", "something went wrong", None)),
    Mishap.LATE_500: (500, "application/json", _envelope("internal_error", "something went wrong", None)),
    Mishap.HTML_502: (502, "text/html", _PAGE),
    Mishap.HTML_200: (200, "text/html", _PAGE),
    Mishap.LIMITED: (429, "application/json", _envelope("rate_limited", "too many requests", _RETRY_AFTER_S)),
    Mishap.UNAVAILABLE: (503, "text/plain", b"not now"),
    Mishap.WRONG_JSON: (200, "application/json", b'{"hello": "world"}'),
    Mishap.S3_SLOW_DOWN: (503, "application/xml", _s3("SlowDown", "Please reduce your request rate.")),
    Mishap.S3_FORBIDDEN: (403, "application/xml", _s3("AccessDenied", "Access Denied")),
    Mishap.S3_REGION: (400, "application/xml", _s3("AuthorizationHeaderMalformed", _ELSEWHERE)),
}


def said(mishap: Mishap) -> tuple[int, str, bytes]:
    """Return status, media type and body of an answer that no server gave."""
    return _SAID[mishap]
