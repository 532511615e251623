"""A Celery app as somebody would write it in an afternoon: a chain of six tasks a photo, `self.retry` for every wait.

Redis is broker and result backend, one `httpx.Client` serves the threads, a 429 is tried again after what the API asks
for or an exponential back-off with jitter, whichever is longer. Everything else is Celery's default. Countdowns are
divided by the sandbox's speed, so that they mean the same as they would at real speed.

The worker is `celery -A bench.contenders.naive_app worker`; `main()` enqueues the work.
"""

from __future__ import annotations

import os
import random
import time
from typing import Any, Final

import httpx
from celery import Celery, Task, chain
from redis import Redis

from bench.contenders.results import write_completion, write_outputs
from bench.work import Work

#: The longest back-off, in seconds of the API's time.
LONGEST_S: Final = 60.0
REFUSED: Final = frozenset({429, 500, 502, 503, 504})

WORK: Final = Work.from_json(os.environ["BENCH_WORK"])
REDIS_URL: Final = os.environ["BENCH_REDIS_URL"]
BROKER_URL: Final = os.environ["BENCH_BROKER_URL"]

app: Final = Celery("naive", broker=BROKER_URL, backend=BROKER_URL)
client: Final = httpx.Client(
    base_url=f"{WORK.base_url}/api/v1", headers={"Authorization": f"Bearer {WORK.api_key}"}, timeout=60
)
redis: Final = Redis.from_url(REDIS_URL)

State = dict[str, Any]


def call(task: Task[Any, Any], method: str, path: str, **content: Any) -> dict[str, Any]:
    """Make one call; what may pass is tried again later."""
    try:
        answer = client.request(method, path, **content)
    except httpx.TransportError as error:
        raise task.retry(exc=error, countdown=back_off_s(task)) from error
    if answer.status_code in REFUSED:
        asked_s = answer.json()["error"]["retry_after"] or 0.0
        raise task.retry(countdown=max(asked_s / WORK.speed, back_off_s(task)))
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def back_off_s(task: Task[Any, Any]) -> float:
    """Return an exponential back-off with full jitter, in seconds of real time."""
    return random.uniform(0, min(LONGEST_S, 2.0**task.request.retries)) / WORK.speed  # noqa: S311 - a pause


@app.task(bind=True, max_retries=None)
def upload(self: Task[Any, Any], number: int, begun_ms: float) -> State:
    """Send the source in."""
    files = {"file": (f"{number}.jpg", WORK.source(number).read_bytes(), "image/jpeg")}
    ingest = call(self, "POST", "/source-assets", files=files, headers={"Idempotency-Key": f"source-{number}"})
    return {"number": number, "begun_ms": begun_ms, "ingest_id": ingest["ingest_id"]}


@app.task(bind=True, max_retries=None)
def wait_for_ingest(self: Task[Any, Any], state: State) -> State:
    """Read the ingest until it is ready."""
    ingest = call(self, "GET", f"/source-assets/{state['ingest_id']}")
    if ingest["status"] != "ready":
        raise self.retry(countdown=WORK.poll_s / WORK.speed)
    return {**state, "source_asset_id": ingest["source_asset_id"]}


@app.task(bind=True, max_retries=None)
def create(self: Task[Any, Any], state: State) -> State:
    """Create the job."""
    body = WORK.settings_of_job(state["number"], state["source_asset_id"])
    headers = {"Idempotency-Key": f"generation-{state['number']}"}
    return {**state, "job_id": call(self, "POST", "/generations", json=body, headers=headers)["job_id"]}


@app.task(bind=True, max_retries=None)
def wait_for_job(self: Task[Any, Any], state: State) -> State:
    """Read the job until it has ended."""
    job = call(self, "GET", f"/generations/{state['job_id']}")
    if job["status"] not in {"succeeded", "failed"}:
        raise self.retry(countdown=WORK.poll_s / WORK.speed)
    return {**state, "outputs": job["outputs"]}


@app.task(bind=True, max_retries=None)
def store(self: Task[Any, Any], state: State) -> State:
    """Copy the outputs into the folder."""
    pictures = {}
    for output in state["outputs"]:
        answer = client.get(output["url"])
        if answer.status_code in REFUSED:
            raise self.retry(countdown=back_off_s(self))
        answer.raise_for_status()
        pictures[output["kind"]] = answer.content
    write_outputs(WORK, state["number"], state, pictures)
    return state


@app.task(bind=True, max_retries=None)
def announce(self: Task[Any, Any], state: State) -> None:  # noqa: ARG001 - as the others
    """Say that the photo is done."""
    write_completion(WORK, state["number"], state["begun_ms"])
    redis.xadd("completions", {"photo": state["number"], "job_id": state["job_id"]})


def main() -> None:
    """Enqueue a chain for each photo."""
    for number in range(WORK.photos):
        signature = chain(
            upload.s(number, time.time() * 1000),
            wait_for_ingest.s(),
            create.s(),
            wait_for_job.s(),
            store.s(),
            announce.s(),
        )
        result = signature.delay()
        if WORK.one_by_one:
            result.get()
