"""The routes of the simulated API, and the pictures behind its signed URLs."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from worker.sandbox import billing, shapes
from worker.sandbox.books import Asset, Books, Job, Key, state_of
from worker.sandbox.config import SandboxConfig
from worker.sandbox.fates import Fate, Rule, fate_of, rules_of
from worker.sandbox.own_routes import own_routes
from worker.sandbox.pictures import staged, tiny
from worker.sandbox.rules import refusal
from worker.sandbox.shapes import Refusal
from worker.sandbox.sources import object_of, source_of
from worker.sandbox.webhooks import Webhooks

Handler = Callable[["Sandbox", Request], Awaitable[Response]]


class Broken(Response):
    """An answer that promises more than it sends, so that the connection breaks; nothing at all for `keep` 0."""

    def __init__(self, content: bytes, keep: int, media_type: str) -> None:
        """Send the first `keep` bytes of `content`."""
        super().__init__(content[:keep], media_type=media_type)
        self._whole = len(content)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the protocol's
        """Send the beginning and leave."""
        headers = [(b"content-length", str(self._whole).encode()), (b"content-type", (self.media_type or "").encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})


class Sandbox:
    """One simulated API."""

    def __init__(self, config: SandboxConfig, *, loopback: bool = True) -> None:
        """Open the books; `loopback`: only this machine is served. Raises BadChange for fates that are none."""
        self.loopback = loopback
        self._at_start = self.config = config
        self.faults = config.faults
        self.books = Books(config)
        self.calls: Counter[str] = Counter()
        self.pictures: dict[str, bytes] = {}
        self.webhooks = Webhooks(self)
        self.rules: tuple[Rule, ...] = rules_of(list(config.fates))

    def change(self, **changes: Any) -> None:
        """Go on with another config; what has begun keeps its fate."""
        self.config = replace(self.config, **changes)
        self.faults = self.config.faults
        self.books.change(self.config)

    def reset(self) -> None:
        """Forget everything that came in and everything that was changed."""
        self.config, self.faults = self._at_start, self._at_start.faults
        self.rules = rules_of(list(self.config.fates))
        self.calls.clear()
        self.pictures.clear()
        self.webhooks.forget()
        self.books.reset(self.config)

    def chance(self, what: str, share: float) -> bool:
        """Say whether a fault happens now: by the seed and how often it was asked."""
        if share <= 0:
            return False
        self.calls[what] += 1
        happens = self.books.dice(what, str(self.calls[what])).random() < share
        if happens:
            self.books.tally.faults[what] += 1
        return happens

    def sign(self, base: str, name: str) -> str:
        """Return a signed URL of a picture, good for a while."""
        life_ms = -1000 if self.chance("expired_urls", self.faults.expired_urls) else self.config.url_life_s * 1000
        ends = int(self.books.now_ms() + life_ms)
        return f"{base}/files/{name}?expires={ends}&signature={self.signature(name, ends)}"

    def signature(self, name: str, ends: int) -> str:
        """Return a URL's signature."""
        return hmac.new(self.config.webhook_secret.encode(), f"{name}{ends}".encode(), hashlib.sha256).hexdigest()

    def admit(self, route: str) -> None:
        """Take one call of a route's limit. Raises Refusal."""
        wait_ms = self.books.wait_ms(route)
        if wait_ms > 0:
            self.books.tally.refused[route] += 1
            wait_s = wait_ms / 1000
            raise Refusal("rate_limited", f"too many requests on {route}", wait_s)
        self.books.tally.accepted[route] += 1

    def admit_job(self) -> None:
        """Take one of the jobs in flight. Raises Refusal."""
        if not self.config.limits_off and self.books.in_flight() >= self.config.in_flight:
            self.books.tally.refused["in_flight"] += 1
            raise Refusal("in_flight_limit", f"more than {self.config.in_flight} jobs in flight", 1.0)


def api(route: str, handler: Handler, *, write: bool = False) -> Callable[[Request], Awaitable[Response]]:
    """Wrap a route: key, faults, limit, errors."""

    async def endpoint(request: Request) -> Response:
        sandbox: Sandbox = request.app.state.sandbox
        readings, faults = sandbox.config.readings, sandbox.faults
        if faults.slow_ms:
            await asyncio.sleep(faults.slow_ms / 1000)
        try:
            if faults.api_down:
                raise Refusal("unavailable", "the API is down")  # noqa: TRY301 - an answer, not an error
            given = request.headers.get("authorization")
            if faults.key_revoked or given != f"Bearer {faults.reissued_key or sandbox.config.api_key}":
                raise Refusal("unauthorized", "missing or unknown API key")  # noqa: TRY301
            if sandbox.chance("errors_500", faults.errors_500):
                raise Refusal("internal_error", "something went wrong")  # noqa: TRY301
            sandbox.admit(route)
            if write and faults.entitlement_ended:
                raise Refusal("forbidden", "the organisation is not entitled to the API")  # noqa: TRY301
            response = await handler(sandbox, request)
        except Refusal as error:
            return shapes.error(readings, error.code, error.message, wait_s=error.wait_s, html=faults.not_envelope)
        if sandbox.chance("lost_responses", faults.lost_responses if write else faults.lost_responses / 2):
            return Broken(b"-" * 64, 0, "application/json")
        return response

    return endpoint


async def _once(sandbox: Sandbox, request: Request, body: bytes) -> tuple[str, str, Key | None]:
    """Return the idempotency key, the payload's digest, and what the key made before. Raises Refusal."""
    key = request.headers.get("idempotency-key")
    if not key:
        raise Refusal("bad_request", "the Idempotency-Key header is missing")
    payload = hashlib.sha256(f"{request.url.path}|{request.headers.get('content-type')}|".encode() + body).hexdigest()
    known = sandbox.books.key(key)
    if known and known.payload != payload:
        sandbox.books.tally.conflicts += 1
        raise Refusal("idempotency_conflict", "this Idempotency-Key was used with another payload")
    if known:
        sandbox.books.tally.replays += 1
    return key, payload, known


async def post_source(sandbox: Sandbox, request: Request) -> Response:
    """`POST /source-assets`."""
    body = await request.body()
    key, payload, known = await _once(sandbox, request, body)
    if known:
        asset = sandbox.books.assets[known.made]
    else:
        source = await source_of(sandbox, request, body)
        asset = sandbox.books.new_asset(
            key, payload, source.data, source.kind, source.failure, file_name=source.file_name
        )
    readings = sandbox.config.readings
    if readings.asset_at_once and not asset.failure:
        asset.ready_ms = min(asset.ready_ms, sandbox.books.now_ms())
    return shapes.success(readings, shapes.ingest(sandbox.books, asset, posted=True), write=True)


async def get_source(sandbox: Sandbox, request: Request) -> Response:
    """`GET /source-assets/{ingest_id}`."""
    asset = sandbox.books.assets.get(request.path_params["ingest_id"])
    if asset is None:
        raise Refusal("not_found", "no such ingest")
    sandbox.books.tell_ingest(asset)
    return shapes.success(sandbox.config.readings, shapes.ingest(sandbox.books, asset))


async def post_generation(sandbox: Sandbox, request: Request) -> Response:
    """`POST /generations`."""
    body = await request.body()
    key, payload, known = await _once(sandbox, request, body)
    if known:
        return _job(sandbox, request, sandbox.books.jobs[known.made], write=True)
    fields = object_of(body)
    if reason := refusal(fields):
        raise Refusal("validation_error", reason)
    asset = sandbox.books.asset_of(str(fields.get("source_asset_id")))
    if asset is None:
        raise Refusal("validation_error", "source_asset_id: no such source asset, or it is not ready")
    return await _start(sandbox, request, key, payload, asset, fields, None)


async def regenerate(sandbox: Sandbox, request: Request) -> Response:
    """`POST /generations/{job_id}/regenerate`."""
    body = await request.body()
    key, payload, known = await _once(sandbox, request, body)
    if known:
        return _job(sandbox, request, sandbox.books.jobs[known.made], write=True)
    fields = object_of(body)
    parent = sandbox.books.jobs.get(request.path_params["job_id"])
    if parent is None:
        raise Refusal("not_found", "no such job")
    if set(fields) - {"webhook"}:
        raise Refusal("validation_error", "only webhook may be given")
    if state_of(parent, sandbox.books.now_ms()) != "succeeded":
        raise Refusal("validation_error", "only a job that succeeded can be regenerated")
    asset = sandbox.books.asset_of(parent.asset_id)
    if asset is None:
        raise Refusal("not_found", "the source asset is gone")
    settings = {**parent.settings, "reference": parent.reference, "metadata": parent.metadata, **fields}
    return await _start(sandbox, request, key, payload, asset, settings, parent.job_id)


async def _start(
    sandbox: Sandbox, request: Request, key: str, payload: str, asset: Asset, fields: dict[str, Any], parent: str | None
) -> Response:
    fate = fate_of(sandbox.rules, fields, asset.file_name)
    if fate is Fate.REFUSED:
        raise Refusal("validation_error", "refused, as this sandbox was told to do with photos of this name")
    sandbox.admit_job()
    spent = billing.consumed_jobs(sandbox.books) + sandbox.books.in_flight()
    if sandbox.faults.allowance_stops and spent >= sandbox.config.included:
        raise Refusal("allowance_exhausted", "the included allowance of this period is used up")
    job = sandbox.books.new_job(key, payload, asset, fields, parent, fate=fate)
    if job.webhook_url and fate is None and sandbox.chance("webhooks_early", sandbox.faults.webhooks_early):
        sandbox.books.end_now(job)
        await sandbox.webhooks.deliver_now(job, _base(request))
    else:
        sandbox.webhooks.expect(job, _base(request))
    return _job(sandbox, request, job, write=True)


async def get_generation(sandbox: Sandbox, request: Request) -> Response:
    """`GET /generations/{job_id}`."""
    job = sandbox.books.jobs.get(request.path_params["job_id"])
    if job is None:
        raise Refusal("not_found", "no such job")
    return _job(sandbox, request, job)


def _job(sandbox: Sandbox, request: Request, job: Job, *, write: bool = False) -> Response:
    base = _base(request)
    sandbox.books.tell(job)
    shown = shapes.job(sandbox.books, job, lambda name: sandbox.sign(base, name))
    return shapes.success(sandbox.config.readings, shown, write=write)


async def get_usage(sandbox: Sandbox, _: Request) -> Response:
    """`GET /usage/summary`."""
    return shapes.success(sandbox.config.readings, billing.usage(sandbox.books))


async def get_billing(sandbox: Sandbox, request: Request) -> Response:
    """`GET /billing/events`."""
    cursor, limit = request.query_params.get("cursor"), request.query_params.get("limit", "100")
    stale = cursor is not None and sandbox.chance("stale_cursors", sandbox.faults.stale_cursors)
    found = None if stale or not limit.isdigit() else billing.page(sandbox.books, cursor, int(limit))
    if found is None:
        raise Refusal("not_found", "no such page")
    return shapes.success(sandbox.config.readings, found)


async def get_file(request: Request) -> Response:
    """Serve a picture behind a signed URL."""
    sandbox: Sandbox = request.app.state.sandbox
    job_id, role = request.path_params["job_id"], request.path_params["role"]
    ends = request.query_params.get("expires", "")
    name = f"{job_id}/{role}"
    good = ends.isdigit() and hmac.compare_digest(
        sandbox.signature(name, int(ends)), request.query_params.get("signature", "")
    )
    if not good or sandbox.books.now_ms() > int(ends):
        return Response("this URL is not valid any more", 403)
    job = sandbox.books.jobs[job_id]
    content = await asyncio.to_thread(_picture, sandbox, job, role)
    if sandbox.chance("truncated_downloads", sandbox.faults.truncated_downloads):
        return Broken(content, len(content) // 2, "image/jpeg")
    return Response(content, media_type="image/jpeg")


def _picture(sandbox: Sandbox, job: Job, role: str) -> bytes:
    source = sandbox.books.content(job.sha256) or b""
    if sandbox.config.picture == "tiny":
        if job.sha256 not in sandbox.pictures:
            sandbox.pictures[job.sha256] = tiny(source)
        return sandbox.pictures[job.sha256]
    return staged(source, job.settings, role, seed=f"{sandbox.config.seed}{job.job_id}{role}")


def _base(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}"


def create_app(config: SandboxConfig, *, loopback: bool = True) -> Starlette:
    """Return the simulator as an ASGI app; `loopback`: it is served to this machine only."""
    sandbox = Sandbox(config, loopback=loopback)
    v1 = "/api/v1"

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> Any:
        async with sandbox.webhooks.delivering():
            yield

    app = Starlette(
        lifespan=lifespan,
        routes=[
            Route(f"{v1}/source-assets", api("source_assets", post_source, write=True), methods=["POST"]),
            Route(f"{v1}/source-assets/{{ingest_id}}", api("ingest_reads", get_source)),
            Route(f"{v1}/generations", api("generations", post_generation, write=True), methods=["POST"]),
            Route(f"{v1}/generations/{{job_id}}", api("generation_reads", get_generation)),
            Route(
                f"{v1}/generations/{{job_id}}/regenerate", api("regenerate", regenerate, write=True), methods=["POST"]
            ),
            Route(f"{v1}/usage/summary", api("usage", get_usage)),
            Route(f"{v1}/billing/events", api("billing", get_billing)),
            Route("/files/{job_id}/{role}", get_file),
            *own_routes(),
        ],
    )
    app.state.sandbox = sandbox
    return app


__all__ = ["Sandbox", "create_app"]
