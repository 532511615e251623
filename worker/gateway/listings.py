"""`POST /v1/listings`: records in, checked as `stagecrew enqueue` does; on answering, the good ones are in the ledger.

| answer | means |
|---|---|
| 202 | every record is in the ledger, and something will be staged because of it |
| 200 | every record was in the ledger before: nothing changed |
| 207 | the good records are in the ledger, `bad_records` are not: correct those and send them again |
| 422 | no record was good: nothing was taken |
| 503 | not now; send the same again, for it is idempotent |

JSON Lines are handed over as they come, so their size is no matter of memory. A connection that breaks in mid-body
leaves in the ledger what had come whole.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import RedisError

from worker.gateway.bodies import BadRecordBody, HeldPhoto, PhotoCounts, Report
from worker.gateway.operations import Call, redis_away
from worker.gateway.problems import Refusal, answer, unavailable
from worker.gateway.streaming import MAX_RECORD_BYTES, Line, lines_of, pieces
from worker.intake.outcome import BadRecord, Result
from worker.intake.readers import read_document, read_line
from worker.intake.reception import Reception, Tally
from worker.ledger.snapshot import Verdict

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

logger = logging.getLogger(__name__)

DOCUMENT: Final = "application/json"
LINES: Final = "application/x-ndjson"
#: Other names that JSON Lines go by.
_LINES_TOO: Final = frozenset({LINES, "application/ndjson", "application/jsonl", "application/x-jsonlines"})
#: Bodies that are read at once; each keeps up to one record in memory.
MOST_BODIES: Final = 8
_BOM: Final = b"\xef\xbb\xbf"
_SPLIT: Final = f"send it as JSON Lines ({LINES}), one listing a line, large listings as several"

_NO_RECORD: Final = BadRecord(
    where="the body",
    field="",
    problem="there is no record in it",
    remedy="send one record, a list of them, or JSON Lines",
)


class Intake:
    """Takes bodies in, a few at a time."""

    def __init__(self, begin: Callable[[], Reception], *, max_bytes: int) -> None:
        """`begin` begins a hand-over; `max_bytes`: of the largest body."""
        self._begin = begin
        self._max_bytes = max_bytes
        self._bodies = 0
        # Reading records is work for the processor; one at a time, off the loop, keeps webhooks flowing.
        self._reading = asyncio.Lock()

    async def post(self, call: Call) -> Response:
        """Answer `POST /v1/listings`."""
        if self._bodies >= MOST_BODIES:
            detail = f"{MOST_BODIES} bodies are being read already"
            raise unavailable(detail, "send it again in a moment", after_s=1)
        self._bodies += 1
        try:
            return await self._take(call.request)
        finally:
            self._bodies -= 1

    async def _take(self, request: Request) -> Response:
        by_lines = _media_type(request) in _LINES_TOO
        reception = self._begin()
        try:
            await (self._lines(request, reception) if by_lines else self._document(request, reception))
            if not (reception.tally.listings or reception.tally.bad):
                reception.tally.note_bad(_NO_RECORD)
            tally = await reception.close()
        except Refusal as refusal:
            refusal.extra |= _so_far(reception.tally)
            raise
        except (RedisError, OSError) as error:
            logger.warning("records not taken", extra={"reason": type(error).__name__})
            raise redis_away(error, _so_far(reception.tally)) from error
        logger.info("records taken", extra={"door": "http", "told": tally.line()})
        return answer(_report(tally).model_dump(mode="json"), _status(tally))

    async def _lines(self, request: Request, reception: Reception) -> None:
        remedy = "send it in several parts, or raise STAGECREW_INTAKE_MAX_BYTES"
        async for some in lines_of(pieces(request, max_bytes=self._max_bytes, remedy=remedy)):
            async with self._reading:
                results = await asyncio.to_thread(_read_lines, some)
            await reception.take(results)

    async def _document(self, request: Request, reception: Reception) -> None:
        longest = min(self._max_bytes, MAX_RECORD_BYTES)
        data = bytearray()
        async for piece in pieces(request, max_bytes=longest, remedy=_SPLIT):
            data += piece
        if not data.strip():
            return
        async with self._reading:
            results = await asyncio.to_thread(_read_document, bytes(data))
        await reception.take(results)


def _media_type(request: Request) -> str:
    found = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if found != DOCUMENT and found not in _LINES_TOO:
        given = f"the body is said to be {found or 'of no type'}"
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, given, f"send Content-Type: {DOCUMENT} or {LINES}")
    if request.headers.get("content-encoding", "identity").strip().lower() not in {"identity", ""}:
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body is compressed", "send it as it is")
    return found


def _read_lines(lines: list[Line]) -> list[Result]:
    results: list[Result] = []
    for line in lines:
        where = f"line {line.number}"
        if line.data is None:
            problem = f"the line is longer than {MAX_RECORD_BYTES // 1024 // 1024} MB"
            remedy = "write one listing a line, large ones as several"
            results.append(BadRecord(where=where, field="", problem=problem, remedy=remedy))
            continue
        data = line.data.removeprefix(_BOM) if line.number == 1 else line.data
        results += read_line(data, where=where, base=None, local_files=False)
    return results


def _read_document(data: bytes) -> list[Result]:
    return list(read_document(data, name="the body", base=None, local_files=False))


def _status(tally: Tally) -> HTTPStatus:
    if not tally.listings:
        return HTTPStatus.UNPROCESSABLE_ENTITY
    if tally.bad:
        return HTTPStatus.MULTI_STATUS
    return HTTPStatus.ACCEPTED if tally.news else HTTPStatus.OK


def _report(tally: Tally) -> Report:
    return Report(
        listings=tally.listings,
        photos=PhotoCounts(**{str(verdict): tally.photos[verdict] for verdict in Verdict}),
        bad_record_count=tally.bad,
        bad_records=[_bad(record) for record in tally.bad_records],
        held=[HeldPhoto(listing_id=held.listing_id, photo_id=held.photo_id, stage=held.stage) for held in tally.held],
        warnings=tally.warnings,
    )


def _bad(record: BadRecord) -> BadRecordBody:
    return BadRecordBody(
        where=record.where,
        listing_id=_whole(record.listing_id),
        photo_id=_whole(record.photo_id),
        field=record.field,
        problem=record.problem,
        remedy=record.remedy,
    )


def _whole(identifier: str | None) -> str | None:
    # A refused id may hold half a character, which no JSON text may.
    return None if identifier is None else identifier.encode("utf-8", "backslashreplace").decode("utf-8")


def _so_far(tally: Tally) -> dict[str, Any]:
    """Return what had been taken before a body was cut short; nothing where nothing was."""
    return {"report": _report(tally).model_dump(mode="json")} if tally.listings or tally.bad else {}


__all__ = ["DOCUMENT", "LINES", "Intake"]
