"""The routes below `/v1` for other programs: records in, where photos are, what can be asked of them; their document.

An id that can't travel in a path (because a proxy on the way decodes `%2F`, or the id is `.`) travels as a query
parameter: every path with ids has a twin that takes them so. `/v1/openapi.json` and `/docs` need no token: they say
nothing that is not in this release.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Final, Protocol

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from worker.gateway.bodies import (
    CancelAnswer,
    Listing,
    ListingBody,
    PhotoBody,
    Problem,
    RegenerateAnswer,
    Report,
)
from worker.gateway.docs_page import page
from worker.gateway.listings import DOCUMENT, LINES, Intake
from worker.gateway.openapi import document
from worker.gateway.operations import Answer, Operation, Parameter, routes_of
from worker.gateway.photos import MOST_PHOTOS, ControlPort, Photos, Window
from worker.gateway.problems import answer
from worker.intake.reception import Desk
from worker.intake.record import MAX_ID_CHARACTERS
from worker.ledger.intake import IntakeCounters
from worker.ledger.reading import Reader
from worker.storage.store import open_store

if TYPE_CHECKING:
    from config.settings import Settings
    from worker.services import Account
    from worker.storage.store import ObjectStore

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
   "mode": "refurnish", "room_types": ["living_room"], "style_preset": "modern"}]}"""
_RECORD_LINE: Final = " ".join(line.strip() for line in _RECORD.splitlines()) + "\n"

_PROBLEM: Final = "application/problem+json"


def _problem(description: str) -> Answer:
    return Answer(description=description, model=Problem, media_type=_PROBLEM)


#: What every operation may answer.
_ALWAYS: Final = {
    HTTPStatus.BAD_REQUEST: _problem("A parameter is missing, unknown or wrong."),
    HTTPStatus.UNAUTHORIZED: _problem("The token is missing or wrong."),
    HTTPStatus.FORBIDDEN: _problem("The gateway has no tokens: STAGECREW_INTAKE_TOKENS is not set."),
    HTTPStatus.SERVICE_UNAVAILABLE: _problem("Not now: send the same again after `Retry-After` seconds."),
}
_NOT_FOUND: Final = _problem("The ledger does not know it, or forgot it after its retention.")


class Fleet(Protocol):
    """What the gateway has open while it serves."""

    @property
    def settings(self) -> Settings:
        """The settings in force."""

    @property
    def accounts(self) -> Mapping[str, Account]:
        """The open accounts by name."""


#: Makes an account's control from the account and its store.
ControlOf = Callable[["Account", "ObjectStore"], ControlPort]


def routes(fleet: Fleet, control_of: ControlOf) -> list[BaseRoute]:
    """Return the routes; the accounts are looked up at each request."""
    settings = fleet.settings
    intake = Intake(lambda: _desks(fleet), max_bytes=settings.intake_max_bytes)
    stores = _Stores(settings)
    photos = Photos(lambda: _windows(fleet, stores, control_of))
    operations = operations_of(intake, photos)
    described = document(operations)
    shown = page(described)

    async def openapi(_: Request) -> Response:
        return answer(described)

    async def docs(_: Request) -> Response:
        return Response(shown, media_type="text/html", headers={"Content-Security-Policy": _POLICY})

    return [
        Route("/v1/openapi.json", openapi),
        Route("/docs", docs),
        *routes_of(operations, settings.intake_tokens),
    ]


#: The page is text and its own style, nothing else.
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"


def operations_of(intake: Intake, photos: Photos) -> list[Operation]:
    """Return the table of all operations."""
    taking = Operation(
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
    return [
        taking,
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
                HTTPStatus.NOT_FOUND: Answer(description="Nobody knows the photo.", model=RegenerateAnswer),
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


class _Stores:
    """Opens each account's store when it is first asked for; one that can't be opened is tried again."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open: dict[str, ObjectStore] = {}

    async def of(self, account: str) -> ObjectStore:
        """Return the store of an account. Raises StoreError."""
        if account not in self._open:
            # The cloud's own libraries read files and take a while.
            self._open[account] = await asyncio.to_thread(open_store, self._settings.storage_url)
        return self._open[account]


def _desks(fleet: Fleet) -> dict[str, Desk]:
    return {
        name: Desk(ledger=account.ledger, counters=IntakeCounters(account.scripts))
        for name, account in fleet.accounts.items()
    }


def _windows(fleet: Fleet, stores: _Stores, control_of: ControlOf) -> dict[str, Window]:
    return {name: _window(name, account, stores, control_of) for name, account in fleet.accounts.items()}


def _window(name: str, account: Account, stores: _Stores, control_of: ControlOf) -> Window:
    async def store() -> ObjectStore:
        return await stores.of(name)

    async def control() -> ControlPort:
        return control_of(account, await store())

    return Window(account=name, reader=Reader(account.scripts), store=store, control=control)
