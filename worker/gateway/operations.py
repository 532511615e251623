"""The operations below `/v1`: one table from which both the routes and the OpenAPI document are made.

Guarantees: nothing of a body is read before the token was checked; a parameter that does not exist is refused by name;
a path is matched as it was sent, so an id may hold any character, percent-encoded, slashes included; Redis away is
always 503 with `Retry-After`, never an error of the client's.
"""

from __future__ import annotations

import logging
import math
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import unquote

from pydantic import BaseModel, TypeAdapter, ValidationError
from redis.exceptions import RedisError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route

from worker.gateway.problems import Refusal, unavailable
from worker.intake.outcome import shown
from worker.intake.record import nearest

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from config.intake import Tokens
    from worker.gateway.rates import Rates

logger = logging.getLogger(__name__)

#: When a client may try again while Redis is away, in seconds.
REDIS_RETRY_S: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of an operation; `type` is what pydantic checks it by. One without a default has to be given."""

    name: str
    type: Any
    description: str
    example: str
    default: Any = None
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One kind of answer of an operation."""

    description: str
    model: type[BaseModel]
    media_type: str = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request whose parameters are checked."""

    request: Request
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path."""

    method: Literal["GET", "POST"]
    path: str
    name: str
    summary: str
    description: str
    act: Callable[[Call], Awaitable[Response]]
    answers: Mapping[HTTPStatus, Answer]
    query: tuple[Parameter, ...] = ()
    in_path: tuple[Parameter, ...] = ()
    #: Media types of the body, each with the schema's type and an example.
    bodies: Mapping[str, tuple[Any, str]] = field(default_factory=dict)


class AsSent(Route):
    """A route whose path is matched before it is decoded: an encoded slash is part of an id."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match the raw path; the parameters are decoded, and bytes that are no UTF-8 become half characters."""
        raw = scope.get("raw_path")
        if scope["type"] != "http" or not raw:
            return super().matches(scope)
        match, found = super().matches({**scope, "path": raw.partition(b"?")[0].decode("latin-1")})
        if match is not Match.NONE:
            given = found["path_params"].items()
            found["path_params"] = {name: unquote(value, errors="surrogateescape") for name, value in given}
        return match, found


class Resource:
    """All operations of one path, as an ASGI app."""

    def __init__(self, operations: Mapping[str, Operation], tokens: Tokens | None, rates: Rates | None = None) -> None:
        """`operations` by method; without `tokens` nobody is let in; `rates` are all routes' together."""
        self._operations = operations
        self._tokens = tokens
        self._rates = rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive, send)
        try:
            response = await self._answer(request)
        except Refusal as refusal:
            response = refusal.response()
        except ClientDisconnect:
            # Nobody is there to be answered; what had come whole is in the ledger.
            logger.info("the client went away", extra={"path": request.url.path})
            return
        except (RedisError, OSError) as error:
            logger.warning("not answered", extra={"path": request.url.path, "reason": type(error).__name__})
            response = redis_away(error).response()
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        operation = self._operations.get(method)
        if operation is None:
            allowed = ", ".join(self._operations)
            raise Refusal(
                HTTPStatus.METHOD_NOT_ALLOWED,
                f"{shown(request.method)} is not possible here",
                f"possible is {allowed}",
                headers={"Allow": allowed},
            )
        who = check_token(request, self._tokens)
        if self._rates is not None and (wait_s := self._rates.wait_s(who, now_s=time.monotonic())):
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS,
                "this token asks more often than it may (STAGECREW_INTAKE_RATE)",
                "send the same again after Retry-After seconds",
                headers={"Retry-After": str(math.ceil(wait_s))},
            )
        values = _checked(operation.in_path, request.path_params) | _query(operation.query, request)
        return await operation.act(Call(request=request, values=values))


def routes_of(operations: Iterable[Operation], tokens: Tokens | None, rates: Rates | None = None) -> list[AsSent]:
    """Return one route a path."""
    by_path: dict[str, dict[str, Operation]] = defaultdict(dict)
    for operation in operations:
        by_path[operation.path][operation.method] = operation
    return [AsSent(path, Resource(found, tokens, rates)) for path, found in by_path.items()]


def check_token(request: Request, tokens: Tokens | None) -> int:
    """Return which of the tokens a request has. Raises Refusal: 403 when there are no tokens at all, else 401."""
    if tokens is None:
        # On loopback too: behind a proxy everybody comes from there.
        detail, remedy = "this gateway has no token by which to know you", "set STAGECREW_INTAKE_TOKENS and restart it"
        raise Refusal(HTTPStatus.FORBIDDEN, detail, remedy)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and (which := tokens.which(token.strip())) is not None:
        return which
    detail = "the token is not one of this gateway's" if token else "there is no token"
    remedy = "send Authorization: Bearer TOKEN with one of STAGECREW_INTAKE_TOKENS"
    raise Refusal(HTTPStatus.UNAUTHORIZED, detail, remedy, headers={"WWW-Authenticate": 'Bearer realm="stagecrew"'})


def redis_away(error: Exception, extra: Mapping[str, Any] | None = None) -> Refusal:
    """Return the refusal for a ledger that does not answer."""
    detail = f"the ledger does not answer ({type(error).__name__})"
    return unavailable(detail, "send the same again: it is idempotent", after_s=REDIS_RETRY_S, extra=extra)


def _query(parameters: tuple[Parameter, ...], request: Request) -> dict[str, Any]:
    given = request.query_params.multi_items()
    known = [parameter.name for parameter in parameters]
    for name, _ in given:
        if name not in known:
            near = nearest(name, known, cutoff=0.5)
            remedy = (
                f"did you mean {near}?" if near else f"the known ones are {', '.join(known)}" if known else "none is"
            )
            raise Refusal(HTTPStatus.BAD_REQUEST, f"there is no parameter {shown(name)}", remedy)
    doubled = [name for name in known if sum(name == other for other, _ in given) > 1]
    if doubled:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"{doubled[0]} is given more than once", "give it once")
    return _checked(parameters, dict(given))


def _checked(parameters: tuple[Parameter, ...], given: Mapping[str, str]) -> dict[str, Any]:
    values = {}
    for parameter in parameters:
        if parameter.name not in given:
            if parameter.required:
                detail, remedy = f"{parameter.name} is missing", f"give it, like {parameter.name}={parameter.example}"
                raise Refusal(HTTPStatus.BAD_REQUEST, detail, remedy)
            values[parameter.name] = parameter.default
            continue
        try:
            values[parameter.name] = TypeAdapter(parameter.type).validate_strings(given[parameter.name])
        except ValidationError as error:
            said = error.errors(include_url=False)[0]["msg"]
            detail = f"{parameter.name}: {shown(given[parameter.name])} is not right"
            raise Refusal(HTTPStatus.BAD_REQUEST, detail, said) from None
    return values
