"""What the simulator shows of itself, and lets be changed while it runs: for people, tests and other teams.

| route | what it is |
|---|---|
| `GET /` | the page: jobs, budgets, faults, fates, clock |
| `GET /sandbox/overview?text=&state=&limit=` | what the page shows, as JSON |
| `GET /sandbox/books` | the books, for tests: every job, every refusal, the peak |
| `GET, POST /sandbox/faults` | the faults; a POST changes those that it names |
| `GET, POST /sandbox/fates` | fates chosen for photos by their names; a POST replaces them |
| `GET, POST /sandbox/config` | durations, cap, speed of the clock |
| `POST /sandbox/clock` | lets the clock jump ahead by `advance_s` |
| `POST /sandbox/reset` | forgets everything that came in or was changed |

They have no password. A page of another site that is open in the same browser gets nothing: a POST that names another
origin is refused, and so is every call to a host name when the sandbox serves an address of this machine only.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from importlib.resources import files
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from worker.sandbox.changes import CHANGEABLE, BadChange, config_changes, fault_changes, seconds
from worker.sandbox.fates import rules_of
from worker.sandbox.overview import MOST_JOBS, overview

if TYPE_CHECKING:
    from worker.sandbox.api import Sandbox

#: Bodies of these routes are small.
MAX_BYTES: Final = 64 * 1024
#: Host names of this machine itself: whoever comes by another one was led here.
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


def own_routes() -> list[Route]:
    """Return the routes below `/sandbox`, and the page."""
    changing = (("faults", faults), ("fates", fates), ("config", config))
    return [
        Route("/sandbox/overview", _guarded(get_overview)),
        Route("/sandbox/books", _guarded(get_books)),
        *(Route(f"/sandbox/{name}", _guarded(handler), methods=["GET", "POST"]) for name, handler in changing),
        Route("/sandbox/clock", _guarded(clock), methods=["POST"]),
        Route("/sandbox/reset", _guarded(reset), methods=["POST"]),
        Route("/", _guarded(page)),
    ]


def _guarded(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Wrap a route: nobody is led here by another page, and what can't be done is said."""

    async def endpoint(request: Request) -> Response:
        sandbox: Sandbox = request.app.state.sandbox
        origin, host = request.headers.get("origin"), request.headers.get("host", "")
        if origin is not None and urlsplit(origin).netloc != host:
            return _problem("a page of another site may not ask this", 403)
        if sandbox.loopback and (urlsplit(f"//{host}").hostname or "") not in LOOPBACK:
            return _problem(f"this sandbox answers at 127.0.0.1 and localhost only, not at {host!r}", 403)
        try:
            return await handler(request)
        except BadChange as error:
            return _problem(str(error), 422)

    return endpoint


async def get_overview(request: Request) -> Response:
    """Show the state of everything, and the newest jobs that fit."""
    sandbox: Sandbox = request.app.state.sandbox
    query = request.query_params
    limit = query.get("limit", "100")
    if not limit.isdecimal() or not 1 <= int(limit) <= MOST_JOBS:
        message = f"limit: it is a number from 1 to {MOST_JOBS}"
        raise BadChange(message)
    shown = overview(sandbox, text=query.get("text", ""), state=query.get("state", ""), limit=int(limit))
    return JSONResponse(shown, headers={"Cache-Control": "no-store"})


async def get_books(request: Request) -> Response:
    """Show the books, for tests."""
    sandbox: Sandbox = request.app.state.sandbox
    return JSONResponse(sandbox.books.report())


async def faults(request: Request) -> Response:
    """Read or change the faults."""
    sandbox: Sandbox = request.app.state.sandbox
    if request.method == "POST":
        sandbox.change(faults=replace(sandbox.faults, **fault_changes(await _json(request))))
    return JSONResponse(asdict(sandbox.faults))


async def fates(request: Request) -> Response:
    """Read or replace the fates that were chosen."""
    sandbox: Sandbox = request.app.state.sandbox
    if request.method == "POST":
        sandbox.rules = rules_of(await _json(request))
    return JSONResponse([asdict(rule) for rule in sandbox.rules])


async def config(request: Request) -> Response:
    """Read or change how long ingests and jobs take from now on, the cap of jobs in flight, and the clock's speed."""
    sandbox: Sandbox = request.app.state.sandbox
    if request.method == "POST":
        sandbox.change(**config_changes(await _json(request), sandbox.config))
    return JSONResponse({name: getattr(sandbox.config, name) for name in CHANGEABLE})


async def clock(request: Request) -> Response:
    """Let the clock jump ahead by `advance_s`."""
    sandbox: Sandbox = request.app.state.sandbox
    sandbox.books.advance(int(seconds(await _json(request), "advance_s") * 1000))
    return JSONResponse({"now_ms": sandbox.books.now_ms()})


async def reset(request: Request) -> Response:
    """Forget everything that came in or was changed."""
    sandbox: Sandbox = request.app.state.sandbox
    sandbox.reset()
    return JSONResponse({"now_ms": sandbox.books.now_ms()})


async def page(_: Request) -> Response:
    """Show the page. It asks this server only, and shows what came from outside as text."""
    html = files("worker.sandbox").joinpath("page.html").read_text("utf-8")
    script, style = (_digest(html, tag) for tag in ("script", "style"))
    policy = (
        f"default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    return HTMLResponse(html, headers=headers)


def _digest(html: str, tag: str) -> str:
    """Return the source of the only `tag` of a page as a content security policy names it."""
    inner = html.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
    return f"'sha256-{base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()}'"


async def _json(request: Request) -> object:
    """Return a body; None for one that is no JSON or too large, which no route takes."""
    body = await request.body()
    try:
        found: object = json.loads(body) if len(body) <= MAX_BYTES else None
    except (ValueError, RecursionError):
        found = None
    return found


def _problem(text: str, status: int) -> Response:
    return JSONResponse({"problem": text}, status)
