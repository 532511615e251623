"""What the simulator shows of itself, for tests and people: its books, its faults, its clock, a page of jobs."""

from __future__ import annotations

import html
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from worker.sandbox.books import state_of
from worker.sandbox.config import Faults

if TYPE_CHECKING:
    from worker.sandbox.api import Sandbox

#: What may be changed while it runs; jobs and ingests that have begun keep their fate.
CHANGEABLE: Final = ("ingest_min_s", "ingest_max_s", "job_min_s", "job_max_s", "url_life_s", "in_flight", "limits_off")


def own_routes() -> list[Route]:
    """Return the routes below `/sandbox`, and the page."""
    return [
        Route("/sandbox/books", get_books),
        Route("/sandbox/faults", faults, methods=["GET", "POST"]),
        Route("/sandbox/config", config, methods=["GET", "POST"]),
        Route("/sandbox/clock", clock, methods=["POST"]),
        Route("/", page),
    ]


async def get_books(request: Request) -> Response:
    """Show the books, for tests."""
    sandbox: Sandbox = request.app.state.sandbox
    return JSONResponse(sandbox.books.report())


async def faults(request: Request) -> Response:
    """Read or change the faults."""
    sandbox: Sandbox = request.app.state.sandbox
    if request.method == "POST":
        try:
            sandbox.faults = replace(sandbox.faults, **await request.json())
        except (TypeError, ValueError):
            known = ", ".join(asdict(Faults()))
            return JSONResponse({"problem": f"faults are: {known}"}, 422)
        sandbox.books.config = replace(sandbox.books.config, faults=sandbox.faults)
    return JSONResponse(asdict(sandbox.faults))


async def config(request: Request) -> Response:
    """Read or change how long ingests and jobs take from now on, and the cap of jobs in flight."""
    sandbox: Sandbox = request.app.state.sandbox
    if request.method == "POST":
        try:
            changes = await request.json()
        except ValueError:
            changes = None
        if not isinstance(changes, dict) or set(changes) - set(CHANGEABLE):
            return JSONResponse({"problem": f"only these may be changed: {', '.join(CHANGEABLE)}"}, 422)
        sandbox.config = replace(sandbox.config, **changes)
        sandbox.books.config = replace(sandbox.books.config, **changes)
    return JSONResponse({name: getattr(sandbox.config, name) for name in CHANGEABLE})


async def clock(request: Request) -> Response:
    """Let the clock jump ahead by `advance_s`."""
    sandbox: Sandbox = request.app.state.sandbox
    sandbox.books.advance(int((await request.json())["advance_s"] * 1000))
    return JSONResponse({"now_ms": sandbox.books.now_ms()})


async def page(request: Request) -> Response:
    """Show the jobs, newest first, for people."""
    sandbox: Sandbox = request.app.state.sandbox
    now = sandbox.books.now_ms()
    rows = "".join(
        f"<tr><td>{html.escape(job.job_id)}<td>{state_of(job, now)}<td>{html.escape(str(job.metadata))}"
        for job in list(sandbox.books.jobs.values())[-200:][::-1]
    )
    return HTMLResponse(
        "<!doctype html><meta charset=utf-8><title>stagecrew sandbox</title>"
        "<style>body{font:15px system-ui;margin:2rem}td{padding:.2rem 1rem .2rem 0;border-top:1px solid #ddd}</style>"
        f"<h1>Sandbox of the Katalo API</h1><p>{len(sandbox.books.jobs)} jobs, {sandbox.books.in_flight()} in flight, "
        f"clock × {sandbox.config.speed:g}. Books: <a href=/sandbox/books>/sandbox/books</a></p><table>{rows}</table>"
    )
