"""What a fleet meets outside: sources behind signed addresses, an object store, and a collector of traces."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


@dataclass
class Outside:
    """One server for both, and what it was sent."""

    signature: str
    port: int = 0
    spans: list[Any] = field(default_factory=list)
    #: All that the collector was sent, as text.
    told: list[str] = field(default_factory=list)

    def source(self, number: int) -> str:
        """Return the signed address of a picture; none is another's."""
        return f"http://127.0.0.1:{self.port}/{number}.png?X-Amz-Signature={self.signature}"

    def app(self) -> Starlette:
        """Return the server: pictures for whoever has the signature, and OTLP over HTTP."""

        async def picture(request: Request) -> Response:
            number = int(request.path_params["number"])
            if request.query_params.get("X-Amz-Signature") != self.signature or number > 100:
                return Response(status_code=404)
            content = io.BytesIO()
            Image.new("RGB", (64, 48), (number, 80, 90)).save(content, "PNG")
            return Response(content.getvalue(), media_type="image/png")

        async def traces(request: Request) -> Response:
            sent = ExportTraceServiceRequest.FromString(await request.body())
            self.told.append(str(sent))
            self.spans += [span for r in sent.resource_spans for scope in r.scope_spans for span in scope.spans]
            return Response(b"", media_type="application/x-protobuf")

        return Starlette(routes=[Route("/{number:int}.png", picture), Route("/v1/traces", traces, methods=["POST"])])


@contextlib.contextmanager
def running_outside(signature: str) -> Iterator[Outside]:
    """Serve it in a thread while the block runs."""
    outside = Outside(signature)
    server = uvicorn.Server(uvicorn.Config(outside.app(), port=0, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        thread.join(0.01)
    outside.port = int(server.servers[0].sockets[0].getsockname()[1])
    try:
        yield outside
    finally:
        server.should_exit = True
        thread.join()
