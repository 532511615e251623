"""Request bodies of any size in bounded memory: pieces as they come, and lines out of pieces.

Never keeps more than one line and one piece. A body that is too large or stops coming is a Refusal, after what was
whole before it has been handed on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from starlette.requests import Request

from worker.gateway.problems import Refusal

#: The longest line of JSON Lines, and the largest JSON document: a listing of some 15,000 photos.
MAX_RECORD_BYTES: Final = 4 * 1024 * 1024
#: A body of which nothing comes for so long is given up, in seconds.
IDLE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Line:
    """A line with its number from 1 on; `data` is None when it was too long to be kept."""

    number: int
    data: bytes | None


async def pieces(request: Request, *, max_bytes: int, remedy: str) -> AsyncIterator[bytes]:
    """Yield the body as it comes. Raises Refusal when it is larger than `max_bytes` or stops coming.

    A body that says that it is too large is refused before any of it is read.
    """
    too_large = Refusal(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has more than {max_bytes:,} bytes", remedy,
        headers={"Connection": "close"},
    )  # fmt: skip
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared) > max_bytes:
        raise too_large
    coming = request.stream()
    seen = 0
    while True:
        try:
            async with asyncio.timeout(IDLE_S):
                piece = await anext(coming, None)
        except TimeoutError:
            detail = f"nothing of the body came for {IDLE_S:.0f} s"
            raise Refusal(
                HTTPStatus.REQUEST_TIMEOUT, detail, "send it again, whole", headers={"Connection": "close"}
            ) from None
        if piece is None:
            return
        seen += len(piece)
        if seen > max_bytes:
            raise too_large
        if piece:
            yield piece


async def lines_of(coming: AsyncIterator[bytes], *, longest: int = MAX_RECORD_BYTES) -> AsyncIterator[list[Line]]:
    """Yield the lines that each piece completes, empty ones left out; the last needs no line end."""
    number, kept, cut = 1, bytearray(), False
    async for piece in coming:
        whole: list[Line] = []
        *ended, rest = piece.split(b"\n")
        for part in ended:
            line = _line(number, kept, part, cut=cut, longest=longest)
            if line is not None:
                whole.append(line)
            number, cut = number + 1, False
            kept.clear()
        if cut or len(kept) + len(rest) > longest:
            cut = True
            kept.clear()
        else:
            kept += rest
        if whole:
            yield whole
    last = _line(number, kept, b"", cut=cut, longest=longest)
    if last is not None:
        yield [last]


def _line(number: int, kept: bytearray, part: bytes, *, cut: bool, longest: int) -> Line | None:
    if cut or len(kept) + len(part) > longest:
        return Line(number, None)
    data = bytes(kept) + part
    return Line(number, data) if data.strip() else None
