"""The operations below `/v1`: what each takes, answers and is called, in one table.

An id that can't travel in a path (because a proxy on the way decodes `%2F`, or the id is `.`) travels as a query
parameter: every path with ids has a twin that takes them so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final

from pydantic import Field
from starlette.responses import Response

from worker.gateway.bodies import CancelAnswer, Listing, ListingBody, PhotoBody, Problem, RegenerateAnswer, Report
from worker.gateway.listings import DOCUMENT, LINES, Intake
from worker.gateway.operations import Answer, Operation, Parameter
from worker.gateway.photos import MOST_PHOTOS, Photos
from worker.intake.record import MAX_ID_CHARACTERS

_Id = Annotated[str, Field(min_length=1, max_length=MAX_ID_CHARACTERS)]
_LISTING: Final = Parameter(
    name="listing_id", type=_Id, description="The listing's id.", example="listing-1042", required=True
)
_PHOTO: Final = Parameter(name="photo_id", type=_Id, description="The photo's id.", example="front", required=True)
_ACCOUNT: Final = Parameter(
    name="account", type=_Id, description="The account of the photos.", example="default", default="default"
)
_AFTER: Final = Parameter(
    name="after",
    type=Annotated[str, Field(max_length=MAX_ID_CHARACTERS)],
    description="Photos whose ids come after this one: `next` of the page before.",
    example="kitchen",
    default="",
)
_LIMIT: Final = Parameter(
    name="limit",
    type=Annotated[int, Field(ge=1, le=MOST_PHOTOS)],
    description="The most photos in the answer.",
    example="100",
    default=MOST_PHOTOS,
)
_KEEP: Final = Parameter(
    name="keep",
    type=bool,
    description="Whether results of jobs that are paid for already are stored.",
    example="true",
    default=True,
)
_NUMBER: Final = Parameter(
    name="number",
    type=Annotated[int, Field(ge=1, le=1_000_000)],
    description="Which regeneration is meant, the first is 1: repeated with it, a request never buys one more.",
    example="1",
)
_RECORD: Final = """{"listing_id": "listing-1042", "partner": "acme", "photos": [
  {"photo_id": "front", "source": "https://photos.example.com/1042/front.jpg",
   "mode": "refurnish", "room_types": ["Living Room"], "style_preset": "modern"}]}"""
_RECORD_LINE: Final = " ".join(line.strip() for line in _RECORD.splitlines()) + "\n"

_PROBLEM: Final = "application/problem+json"


def _problem(description: str) -> Answer:
    return Answer(description=description, model=Problem, media_type=_PROBLEM)


#: What every operation may answer.
_ALWAYS: Final = {
    HTTPStatus.BAD_REQUEST: _problem("A parameter is missing, unknown or wrong."),
    HTTPStatus.UNAUTHORIZED: _problem("The token is missing or wrong."),
    HTTPStatus.FORBIDDEN: _problem("The gateway has no tokens: STAGECREW_INTAKE_TOKENS is not set."),
    HTTPStatus.TOO_MANY_REQUESTS: _problem("This token asks more often than STAGECREW_INTAKE_RATE lets it."),
    HTTPStatus.SERVICE_UNAVAILABLE: _problem("Not now: send the same again after `Retry-After` seconds."),
}
_NOT_FOUND: Final = _problem("The ledger does not know it, or forgot it after its retention.")


def taking(intake: Intake) -> Operation:
    """Return the operation that takes records in."""
    return Operation(
        method="POST",
        path="/v1/listings",
        name="enqueue",
        summary="Hand photos over to be staged",
        description="One record, a list of records, or JSON Lines of any length, by the same checks as "
        "`stagecrew enqueue`; files can't be named as sources. Good photos go on when others are bad. The same record "
        "again changes nothing, so send everything again whenever in doubt. When the answer comes, the good records "
        "are in the ledger.",
        act=intake.post,
        bodies={DOCUMENT: (Listing | list[Listing], _RECORD), LINES: (None, _RECORD_LINE)},
        answers={
            HTTPStatus.OK: Answer(description="All were known before: nothing changed.", model=Report),
            HTTPStatus.ACCEPTED: Answer(description="All records are in the ledger.", model=Report),
            HTTPStatus.MULTI_STATUS: Answer(
                description="The good records are in the ledger, the bad ones are told.", model=Report
            ),
            HTTPStatus.UNPROCESSABLE_ENTITY: Answer(description="No record was good.", model=Report),
            HTTPStatus.REQUEST_TIMEOUT: _problem("The body stopped coming."),
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE: _problem("The body is too large."),
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE: _problem("Neither JSON nor JSON Lines, or compressed."),
            **_ALWAYS,
        },
    )


def looking(photos: Photos) -> list[Operation]:
    """Return the operations that say where photos and listings are."""
    return [
        *_twins(
            "GET", "/v1/listings/{listing_id}", "/v1/listings", "listing", photos.listing,
            summary="Where a listing is",
            description="Its photos by stage, and the photos themselves in pages.",
            query=(_AFTER, _LIMIT),
            answers={HTTPStatus.OK: Answer(description="The listing.", model=ListingBody)},
        ),
        *_twins(
            "GET", "/v1/photos/{listing_id}/{photo_id}", "/v1/photos", "photo", photos.photo,
            summary="Where a photo is",
            description="Its stage and the way there, its job, its error; its outputs once it is staged.",
            answers={HTTPStatus.OK: Answer(description="The photo.", model=PhotoBody)},
        ),
    ]  # fmt: skip


def asking(photos: Photos) -> list[Operation]:
    """Return the operations that ask something of photos."""
    return [
        *_twins(
            "POST", "/v1/photos/{listing_id}/{photo_id}/regenerate", "/v1/regenerate", "regenerate", photos.regenerate,
            summary="Ask for another picture of a staged photo",
            description="Another job, which is billed. Asked again while it is being made, it buys nothing more; give "
            "`number` to be sure of that afterwards too.",
            query=(_NUMBER,),
            answers={
                HTTPStatus.ACCEPTED: Answer(description="It waits for its turn.", model=RegenerateAnswer),
                HTTPStatus.OK: Answer(description="It is being made, or there.", model=RegenerateAnswer),
                HTTPStatus.CONFLICT: Answer(description="There is no picture yet.", model=RegenerateAnswer),
            },
        ),
        *_twins(
            "POST", "/v1/photos/{listing_id}/{photo_id}/cancel", None, "cancel_photo", photos.cancel_photo,
            summary="Cancel a photo",
            description="Withdraws it when its job was not created yet; afterwards the job is paid for.",
            query=(_KEEP,),
            answers={HTTPStatus.OK: Answer(description="What that did.", model=CancelAnswer)},
        ),
        *_twins(
            "POST", "/v1/listings/{listing_id}/cancel", None, "cancel_listing", photos.cancel_listing,
            summary="Cancel a listing",
            description="Cancels each of its photos.",
            query=(_KEEP,),
            answers={HTTPStatus.OK: Answer(description="What that did.", model=CancelAnswer)},
        ),
        Operation(
            method="POST",
            path="/v1/cancel",
            name="cancel",
            summary="Cancel a photo or a listing, by query",
            description="Without `photo_id` the whole listing.",
            act=photos.cancel,
            query=(
                _LISTING,
                Parameter(name="photo_id", type=_Id, description="The photo's id.", example="front"),
                _KEEP,
                _ACCOUNT,
            ),
            answers={
                HTTPStatus.OK: Answer(description="What that did.", model=CancelAnswer),
                HTTPStatus.NOT_FOUND: _NOT_FOUND,
                **_ALWAYS,
            },
        ),
    ]  # fmt: skip


def _twins(
    method: Any,
    by_path: str,
    by_query: str | None,
    name: str,
    act: Callable[..., Awaitable[Response]],
    *,
    summary: str,
    description: str,
    answers: Mapping[HTTPStatus, Answer],
    query: tuple[Parameter, ...] = (),
) -> list[Operation]:
    """Return an operation whose ids are in its path, and its twin that takes them as query parameters."""
    ids = tuple(parameter for parameter in (_LISTING, _PHOTO) if f"{{{parameter.name}}}" in by_path)
    both: Any = {
        "method": method,
        "act": act,
        "description": description,
        "answers": {HTTPStatus.NOT_FOUND: _NOT_FOUND, **_ALWAYS, **answers},
    }
    made = [
        Operation(path=by_path, name=name, summary=summary, in_path=ids, query=(*query, _ACCOUNT), **both),
    ]
    if by_query is not None:
        both |= {"path": by_query, "name": f"{name}_by_query", "summary": f"{summary}, by query"}
        made.append(Operation(query=(*ids, *query, _ACCOUNT), **both))
    return made
