"""A whole fleet at DEBUG: what it shows of itself names every photo, and no secret stands in anything it writes."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import sys
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from celery import Celery
from moto.server import ThreadedMotoServer
from prometheus_client.parser import text_string_to_metric_families as families
from redis import Redis

from tests.fleet.conftest import Fleet, free_port
from tests.fleet.outside import Outside, running_outside
from tests.fleet.test_flower import until
from tests.receiver import received, running_receiver
from worker.core.photo import Stage
from worker.embedded.processes import spawn, stop
from worker.metrics.catalogue import WORKER, Kind

Build = Callable[..., Fleet]

GOOD = 4
REDIS_PASSWORD, FLOWER_PASSWORD, TOKEN = "password-of-redis", "password-of-flower", "token-of-the-intake-0123456789"
SECRETS = {
    "a signature": "sig-0123456789abcdef",
    "the sink's secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "the intake's token": TOKEN,
    "the store's secret": "secret-of-the-store-0123456789",
    "Flower's password": FLOWER_PASSWORD,
    "Redis's password": REDIS_PASSWORD,
}
#: A signed query of whomever: the sources', the API's outputs'.
SIGNED = re.compile(r"[?&](?:X-Amz-[A-Za-z]+|sig|signature|expires|token)=(?!\*\*\*)[^\s\"&]+", re.IGNORECASE)
#: A row needs its source until it has ended, and the fresh addresses of its outputs until they are stored.
MAY_BE_SIGNED = re.compile(r"sc1:\{default\}:[op]:")


class Observed:
    """A fleet with every secret there is, run to its end; what it wrote and showed."""

    def __init__(self, crew: Fleet, outside: Outside, store: Any) -> None:
        self.crew, self.outside, self.store = crew, outside, store
        self.pages: dict[str, str] = {}
        self.secrets = SECRETS | {
            "the API key": crew.sandbox.api_key,
            "the webhook secret": crew.sandbox.webhook_secret,
        }

    def get(self, port: int, path: str, *, user: str = "") -> str:
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
        if user:
            request.add_header("Authorization", f"Basic {base64.b64encode(user.encode()).decode()}")
        with urllib.request.urlopen(request, timeout=60) as answer:
            text: str = answer.read().decode()
        return text

    def lines(self) -> list[dict[str, Any]]:
        """Return all lines of all processes; each is one JSON object."""
        return [json.loads(line) for path in self.logs() for line in path.read_text().splitlines() if line[:1] == "{"]

    def logs(self) -> list[Path]:
        return sorted(self.crew.folder.glob("*.log"))

    def metrics(self, page: str) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = defaultdict(list)
        for family in families(self.pages[page]):
            for sample in family.samples:
                found[sample.name].append(sample)
        return found


@pytest.fixture
def observed(fleet: Build, tmp_path: Path) -> Iterator[Observed]:
    """Stage photos from signed addresses, handed over by HTTP; one of them is not there."""
    with contextlib.ExitStack() as stack:
        moto = ThreadedMotoServer(port=0, verbose=False)
        moto.start()
        stack.callback(moto.stop)
        outside = stack.enter_context(running_outside(SECRETS["a signature"]))
        events = tmp_path / "events.jsonl"
        receiver = stack.enter_context(running_receiver(events, SECRETS["the sink's secret"]))
        crew = fleet(workers=0)
        gateway, flower, metrics = free_port(), free_port(), free_port()
        with Redis.from_url(crew.redis.url) as redis:
            redis.acl_setuser(
                "crew", enabled=True, passwords=[f"+{REDIS_PASSWORD}"],
                keys="*", channels="*", categories=["+@all"],
            )  # fmt: skip
        aws = {
            "AWS_ACCESS_KEY_ID": "stagecrew",
            "AWS_SECRET_ACCESS_KEY": SECRETS["the store's secret"],
            "AWS_REGION": "eu-west-1",
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{moto.get_host_and_port()[1]}",
        }
        store = boto3.client(
            "s3", endpoint_url=aws["AWS_ENDPOINT_URL_S3"], region_name="eu-west-1",
            aws_access_key_id="stagecrew", aws_secret_access_key=aws["AWS_SECRET_ACCESS_KEY"],
        )  # fmt: skip
        store.create_bucket(Bucket="outputs", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        crew.environ |= aws | {
            "AWS_ALLOW_HTTP": "true",
            "STAGECREW_REDIS_URL": crew.redis.url.replace("://", f"://crew:{REDIS_PASSWORD}@"),
            "STAGECREW_STORAGE_URL": "s3://outputs/staged",
            "STAGECREW_COMPLETIONS_URL": f"redis+stream://stagecrew.completions http://127.0.0.1:{receiver}/hook#crm",
            "STAGECREW_COMPLETIONS_SECRET": SECRETS["the sink's secret"],
            "STAGECREW_WEBHOOK_PUBLIC_URL": f"http://127.0.0.1:{gateway}",
            "KATALO_WEBHOOK_SECRET": crew.sandbox.webhook_secret,
            "STAGECREW_INTAKE_TOKENS": SECRETS["the intake's token"],
            "STAGECREW_FLOWER_AUTH": f"ann:{FLOWER_PASSWORD}",
            "STAGECREW_LOG_LEVEL": "DEBUG",
            "STAGECREW_LOG_FORMAT": "json",
            "STAGECREW_MAX_ATTEMPTS": "2",
            "STAGECREW_METRICS_PORT": str(metrics),
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{outside.port}",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }
        seen = Observed(crew, outside, store)
        stagecrew, celery = [sys.executable, "-m", "worker.cli"], [sys.executable, "-m", "celery", "-A", "worker.app"]
        processes = [
            _start(crew, "gateway", [*stagecrew, "gateway", "--port", str(gateway)]),
            _start(crew, "flower", [*celery, "flower", "--conf=config/flowerconfig.py", f"--port={flower}"]),
            _start(crew, "worker-a", [*stagecrew, "worker", "--name", "a"]),
            _start(crew, "worker-b", [*stagecrew, "worker", "--name", "b"]),
        ]
        for process in processes:
            stack.callback(stop, process, within_s=20)
        crew.wait_for("both workers", lambda snapshot: len(snapshot.workers) == 2)
        until("the gateway", lambda: _answers(gateway, "/readyz"))
        until("Flower", lambda: _answers(flower, "/healthcheck"))
        _hand_over(gateway, crew.environ["STAGECREW_REDIS_URL"], outside)
        crew.wait_for_all(GOOD + 1)
        until("the messages", lambda: len(received(events)) == GOOD + 3)
        ports = [line["port"] for line in seen.lines() if str(line["event"]).startswith("metrics ") and "port" in line]
        seen.pages |= {f"worker {port}": seen.get(port, "/metrics") for port in ports}
        seen.pages |= {f"health {port}": seen.get(port, "/healthz") + seen.get(port, "/readyz") for port in ports}
        seen.pages["gateway"] = seen.get(gateway, "/metrics")
        user = crew.environ["STAGECREW_FLOWER_AUTH"]
        seen.pages |= {
            f"Flower {path}": seen.get(flower, path, user=user) for path in ("/api/tasks", "/workers", "/tasks")
        }
        for command in (["status"], ["failed", "--json"], ["doctor"], ["status", "one"]):
            said = crew.stagecrew(*command)
            seen.pages[" ".join(command)] = said.stdout + said.stderr
        seen.pages["events"] = events.read_text()
        for process in processes:
            stop(process, within_s=20)
        yield seen


def _start(crew: Fleet, name: str, command: list[str]) -> Any:
    with (crew.folder / f"{name}.log").open("wb") as log:
        return spawn(command, environ=crew.environ, output=log)


def _answers(port: int, path: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _hand_over(gateway: int, broker: str, outside: Outside) -> None:
    """Hand one listing over by HTTP and one by message, with a photo that is not there and one that can not be."""
    photos = [{"photo_id": f"photo {n}", "source": outside.source(n), "mode": "clean"} for n in range(GOOD)]
    missing = {"photo_id": "missing", "source": outside.source(404), "mode": "clean"}
    listings = [{"listing_id": "one", "partner": "acme", "photos": [*photos[:2], missing]}]
    request = urllib.request.Request(
        f"http://127.0.0.1:{gateway}/v1/listings",
        data=json.dumps(listings).encode(),
        headers={
            "Authorization": f"Bearer {TOKEN}",
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 202, answer.read()
    bad = {"photo_id": "bad", "source": f"ftp://host/a.jpg?X-Amz-Signature={outside.signature}", "mode": "clean"}
    # This producer wants the arguments shown, signatures and all.
    two = [{"source": photo["source"]} | photo for photo in (*photos[2:], bad)]
    message = {"listings": [{"photos": two, "listing_id": "two", "partner": "globex"}]}
    with Celery(broker=broker) as app:
        app.send_task("stagecrew.enqueue", kwargs=message, queue="stagecrew.enqueue", kwargsrepr=repr(message))


def _redis(crew: Fleet) -> Iterator[tuple[str, str]]:
    """Give every key with all that it holds, as text."""
    with Redis.from_url(crew.redis.url, decode_responses=True) as redis:
        reads: dict[str, Callable[[str], Any]] = {
            "string": redis.get,
            "hash": redis.hgetall,
            "list": lambda key: redis.lrange(key, 0, -1),
            "set": redis.smembers,
            "zset": lambda key: redis.zrange(key, 0, -1),
            "stream": redis.xrange,
        }
        for key in redis.scan_iter(count=1000):
            yield key, f"{key} {reads[redis.type(key)](key)}"


def _stored(seen: Observed) -> Iterator[tuple[str, str]]:
    for entry in seen.store.list_objects_v2(Bucket="outputs")["Contents"]:
        body = seen.store.get_object(Bucket="outputs", Key=entry["Key"])["Body"].read()
        yield entry["Key"], f"{entry['Key']} {body.decode('latin-1')}"


def test_a_fleet_tells_everything_about_its_photos_and_none_of_its_secrets(observed: Observed) -> None:
    _no_secret_stands_anywhere(observed)
    _every_line_about_a_photo_names_it(observed)
    _each_photo_has_one_trace(observed)
    _workers_show_what_they_did(observed)


def _no_secret_stands_anywhere(seen: Observed) -> None:
    written = {path.name: path.read_text() for path in seen.logs()} | seen.pages
    stored, redis = dict(_stored(seen)), dict(_redis(seen.crew))
    traces = {"traces": "\n".join(seen.outside.told)}
    assert len(stored) > 3 * GOOD
    assert {"gateway.log", "flower.log", "worker-a.log", "worker-b.log"} <= set(written)
    everything = written | stored | redis | traces
    found = {
        (name, what)
        for name, text in everything.items()
        for what, secret in seen.secrets.items()
        if secret in text and not (what == "a signature" and MAY_BE_SIGNED.match(name))
    }
    assert found == set()
    signed = {name: hit[0] for name, text in everything.items() if (hit := SIGNED.search(text))}
    assert {name: hit for name, hit in signed.items() if not MAY_BE_SIGNED.match(name)} == {}
    # The search would find them: they are where they have to be.
    assert any(MAY_BE_SIGNED.match(name) for name in signed)


def _every_line_about_a_photo_names_it(seen: Observed) -> None:
    lines = seen.lines()
    about = [line for line in lines if line.get("logger") == "worker.pipeline.batch"]
    assert about
    assert all(line["listing"] in {"one", "two"} and line["photo"] and line["step"] for line in about)
    ended = {(line["listing"], line["photo"]): line for line in about if line["event"] == "photo ended"}
    assert len(ended) == GOOD + 1
    assert {name for name, line in ended.items() if line["stage"] == "failed"} == {("one", "missing")}
    jobs = {line["job"] for line in ended.values() if line["stage"] == "done"}
    assert jobs == {job["job_id"] for job in seen.crew.sandbox.books()["jobs"]}
    # So do libraries' lines: a call is logged by the client's own parts.
    assert {line["job"] for line in lines if line["event"] == "webhook"} <= jobs


def _each_photo_has_one_trace(seen: Observed) -> None:
    spans = {span.span_id: span for span in seen.outside.spans}
    by_photo: dict[str, list[Any]] = defaultdict(list)
    for span in spans.values():
        names = {pair.key: pair.value.string_value for pair in span.attributes}
        if "stagecrew.photo" in names:
            by_photo[f"{names['stagecrew.listing']}/{names['stagecrew.photo']}"].append(span)
    assert len(by_photo) == GOOD + 1
    for photo, some in by_photo.items():
        [trace] = {span.trace_id for span in some}
        whole = [span for span in spans.values() if span.trace_id == trace]
        [root] = [span for span in whole if not span.parent_span_id]
        assert root.name == "stagecrew.photo"
        steps = {span.span_id: span for span in whole if span.parent_span_id == root.span_id}
        names = {span.name for span in steps.values()}
        assert {"stagecrew.enqueue", "stagecrew.ingest_source"} <= names
        calls = {span.name: span.parent_span_id for span in whole if span.span_id not in steps and span is not root}
        assert set(calls.values()) <= set(steps), "each call is below a step"
        if photo != "one/missing":
            assert {"stagecrew.create_generation", "stagecrew.store_outputs", "stagecrew.announce"} <= names
            assert steps[calls["POST /generations"]].name == "stagecrew.create_generation"
            assert steps[calls["POST /source-assets"]].name == "stagecrew.ingest_source"
    assert len({span.trace_id for some in by_photo.values() for span in some}) == GOOD + 1


def _workers_show_what_they_did(seen: Observed) -> None:
    workers = [seen.metrics(page) for page in seen.pages if page.startswith("worker ")]
    assert len(workers) == 2, "the second took another port"
    assert all('"ok"' in seen.pages[page] for page in seen.pages if page.startswith("health "))

    def total(name: str, **labels: str) -> float:
        samples = [sample for worker in workers for sample in worker[name]]
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    books = seen.crew.sandbox.books()
    assert total("stagecrew_api_requests_total", route="generations") == books["accepted"]["generations"] == GOOD
    assert total("stagecrew_api_requests_total", route="source_assets", status="201") <= GOOD
    assert total("stagecrew_photo_duration_seconds_count", stage="done") == GOOD
    assert total("stagecrew_photo_duration_seconds_count", stage="failed") == 1
    assert total("stagecrew_steps_total", step="announce", outcome="go") == GOOD
    assert total("stagecrew_steps_total", outcome="fail") == 1
    images = [entry["Size"] for entry in seen.store.list_objects_v2(Bucket="outputs")["Contents"]
              if entry["Key"].endswith((".jpg", ".png"))]  # fmt: skip
    assert total("stagecrew_output_bytes_total") == sum(images) > 0
    assert total("stagecrew_source_bytes_total") > 0
    assert total("stagecrew_hands") > 0
    assert total("process_cpu_seconds_total") > 0
    shown = {name for worker in workers for name in worker}
    counted = {m.shown if m.kind is not Kind.HISTOGRAM else f"{m.shown}_count" for m in WORKER}
    assert counted - shown == set()
    fleet = seen.metrics("gateway")
    assert sum(sample.value for sample in fleet["stagecrew_photos"] if sample.labels["stage"] == Stage.DONE) == GOOD
    assert fleet["stagecrew_webhooks_total"]
