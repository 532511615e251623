"""A receiver of signed messages: verifies them by the standard's own library, and writes each down before it answers.

`python -m tests.receiver PORT FILE SECRET` serves it; in tests it also runs in a thread.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def receiver(file: Path, secret: str) -> Starlette:
    """Return the receiver: it answers 401 to what is not signed, else what the event's data says (`answer`), or 204."""
    webhook = Webhook(secret)

    async def receive(request: Request) -> Response:
        body = await request.body()
        try:
            webhook.verify(body.decode(), dict(request.headers))
        except WebhookVerificationError:
            return Response(status_code=401)
        event = json.loads(body)
        assert request.headers["webhook-id"] == event["id"]
        assert request.headers["content-type"].startswith("application/cloudevents+json")
        answer = event["data"].get("answer", 204)
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"event": event, "answer": answer}) + "\n")
        return Response(status_code=answer, headers=event["data"].get("headers", {}))

    return Starlette(routes=[Route("/hook", receive, methods=["POST"])])


def received(file: Path, *, answer: int = 204) -> list[dict[str, Any]]:
    """Return the events that were answered so, in the order in which they came."""
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    return [line["event"] for line in map(json.loads, lines) if line["answer"] == answer]


@contextlib.contextmanager
def running_receiver(file: Path, secret: str) -> Iterator[int]:
    """Serve it in a thread while the block runs; gives its port."""
    server = uvicorn.Server(uvicorn.Config(receiver(file, secret), port=0, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the receiver did not start"
        thread.join(0.01)
    try:
        yield int(server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        thread.join()


if __name__ == "__main__":
    uvicorn.run(receiver(Path(sys.argv[2]), sys.argv[3]), port=int(sys.argv[1]), log_level="warning", lifespan="off")
