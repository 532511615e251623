"""Refusals as RFC 9457 problem documents: what happened, to what, and what to do; never a secret, never a traceback."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import Response


class Refusal(Exception):  # noqa: N818 - it is an answer
    """An answer other than what was asked for; `extra` are further members of the document."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        remedy: str,
        *,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        """Neither text holds a token or the query of a URL."""
        super().__init__(f"{detail}; {remedy}")
        self.status = status
        self.detail = detail
        self.remedy = remedy
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})

    def response(self) -> Response:
        """Return the problem document."""
        document = {
            "title": self.status.phrase,
            "status": int(self.status),
            "detail": self.detail,
            "remedy": self.remedy,
            **self.extra,
        }
        return answer(document, self.status, media_type="application/problem+json", headers=self.headers)


def answer(
    document: Mapping[str, Any],
    status: int = HTTPStatus.OK,
    *,
    media_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a JSON answer; ids may hold half a character, so everything beyond ASCII is escaped."""
    content = json.dumps(document, ensure_ascii=True, separators=(",", ":"))
    return Response(content, int(status), {"Cache-Control": "no-store", **(headers or {})}, media_type)


def unavailable(detail: str, remedy: str, *, after_s: int, extra: Mapping[str, Any] | None = None) -> Refusal:
    """Return the refusal for a passing trouble of ours: the client does well to send the same again."""
    headers = {"Retry-After": str(after_s)}
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, detail, remedy, headers=headers, extra=extra)
