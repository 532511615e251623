"""The sandbox's own routes under `/sandbox`: its books, and what may be changed while it runs.

They are no part of the API's contract; tests and benchmarks use them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from worker.sandbox.config import Faults

if TYPE_CHECKING:
    from worker.sandbox.api import Sandbox

#: What may be changed while it runs; jobs and ingests that have begun keep their fate.
CHANGEABLE: Final = ("ingest_min_s", "ingest_max_s", "job_min_s", "job_max_s", "url_life_s", "in_flight", "limits_off")


async def books(request: Request) -> Response:
    """Show the books."""
    return JSONResponse(_sandbox(request).books.report())


async def faults(request: Request) -> Response:
    """Read or change the faults."""
    sandbox = _sandbox(request)
    if request.method == "POST":
        try:
            sandbox.faults = replace(sandbox.faults, **await _fields(request))
        except TypeError:
            known = ", ".join(asdict(Faults()))
            return JSONResponse({"problem": f"faults are: {known}"}, 422)
        sandbox.books.config = replace(sandbox.books.config, faults=sandbox.faults)
    return JSONResponse(asdict(sandbox.faults))


async def config(request: Request) -> Response:
    """Read or change how long ingests and jobs take from now on, and the cap of jobs in flight."""
    sandbox = _sandbox(request)
    if request.method == "POST":
        try:
            changes = await _fields(request)
        except TypeError:
            changes = {"": None}
        if set(changes) - set(CHANGEABLE):
            return JSONResponse({"problem": f"only these may be changed: {', '.join(CHANGEABLE)}"}, 422)
        sandbox.config = replace(sandbox.config, **changes)
        sandbox.books.config = replace(sandbox.books.config, **changes)
    return JSONResponse({name: getattr(sandbox.config, name) for name in CHANGEABLE})


def _sandbox(request: Request) -> Sandbox:
    found: Sandbox = request.app.state.sandbox
    return found


async def _fields(request: Request) -> dict[str, Any]:
    """Return the body's fields. Raises TypeError when it is no JSON object."""
    try:
        found = json.loads(await request.body())
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise TypeError("the body is not a JSON object")
    return found
