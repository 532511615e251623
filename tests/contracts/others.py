"""Real sinks on loopback, each behind a relay that can be cut: what its other side got can be asked for."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker
from redis import Redis

from tests.receiver import received, running_receiver
from tests.relay import Relay, relay_to
from worker.embedded.redis_server import embedded_redis

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
REGION = "eu-west-1"


@dataclass
class Other:
    """The other side of a sink: the settings that lead to it, its cable, and what it got."""

    url: str
    environ: dict[str, str]
    name: str
    relay: Relay | None = None
    file: Path | None = None
    queue_url: str | None = None
    aws: Any = None
    tasks: list[dict[str, Any]] | None = None
    stream: Redis | None = None

    def __post_init__(self) -> None:
        self._seen: list[dict[str, Any]] = []
        self.messages: list[dict[str, Any]] = []

    def got(self) -> list[dict[str, Any]]:
        """Return all events that arrived so far, in their order."""
        if self.file is not None:
            return received(self.file)
        if self.tasks is not None:
            return list(self.tasks)
        if self.stream is not None:
            return [json.loads(fields[b"event"]) for _, fields in self.stream.xrange("done")]
        self._receive()
        return list(self._seen)

    def _receive(self) -> None:
        names = ["All"]
        while found := self.aws.receive_message(
            QueueUrl=self.queue_url, MaxNumberOfMessages=10, AttributeNames=names, MessageAttributeNames=names
        ).get("Messages"):
            for message in found:
                self.messages.append(message)
                self._seen.append(json.loads(message["Body"]))
                self.aws.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])


KINDS = ("stream", "sqs", "sqs-fifo", "sns", "sns-fifo", "https", "celery")


@contextlib.contextmanager
def open_other(
    kind: str, folder: Path, redis_url: str, aws_port: int, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Other]:
    """Bring up the other side of a kind of sink."""
    with contextlib.ExitStack() as stack:
        match kind.partition("-"):
            case ("stream", _, _):
                client = stack.enter_context(Redis.from_url(redis_url))
                yield Other(url="redis+stream://done", environ={}, name="stream", stream=client)
            case ("https", _, _):
                file = folder / "received.jsonl"
                relay = stack.enter_context(relay_to(stack.enter_context(running_receiver(file, SECRET))))
                url = f"http://127.0.0.1:{relay.port}/hook#hook"
                yield Other(
                    url=url, environ={"STAGECREW_COMPLETIONS_SECRET": SECRET}, name="hook", relay=relay, file=file
                )
            case ("celery", _, _):
                yield stack.enter_context(_celery(folder))
            case (service, _, fifo):
                relay = stack.enter_context(relay_to(aws_port))
                yield stack.enter_context(_aws(service, bool(fifo), relay, aws_port, monkeypatch))


@contextlib.contextmanager
def _celery(folder: Path) -> Iterator[Other]:
    """Run a user's own Celery worker, on a broker that is nobody else's."""
    tasks: list[dict[str, Any]] = []
    with embedded_redis(folder / "broker", tcp=True) as broker:
        assert broker.port is not None
        app = Celery("theirs", broker=broker.url, set_as_current=False)

        @app.task(name="theirs.on_staged", bind=True, shared=False)
        def on_staged(self: Any, event: dict[str, Any]) -> None:
            assert self.request.id == event["id"]
            tasks.append(event)

        with (
            relay_to(broker.port) as relay,
            start_worker(app, pool="solo", perform_ping_check=False, loglevel="ERROR", queues=["theirs"]),
        ):
            url = f"redis://127.0.0.1:{relay.port}/0"
            yield Other(
                url="celery://theirs.on_staged?queue=theirs",
                environ={"STAGECREW_BROKER_URL": url},
                name="celery-theirs.on_staged",
                relay=relay,
                tasks=tasks,
            )


_number = iter(range(10**6))


@contextlib.contextmanager
def _aws(service: str, fifo: bool, relay: Relay, port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Other]:
    """Make a queue, for SNS one that is subscribed to a topic."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-of-aws")
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service.upper()}", f"http://127.0.0.1:{relay.port}")
    direct = {"endpoint_url": f"http://127.0.0.1:{port}", "region_name": REGION}
    sqs, sns = boto3.client("sqs", **direct), boto3.client("sns", **direct)
    name, attributes = f"q{next(_number)}", {"FifoQueue": "true"} if fifo else {}
    name += ".fifo" if fifo else ""
    queue = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    url = f"sqs://{name}"
    if service == "sns":
        topic = sns.create_topic(Name=f"t-{name}", Attributes={"FifoTopic": "true"} if fifo else {})["TopicArn"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        raw = {"RawMessageDelivery": "true"}
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=raw)
        url = f"sns://{topic}"
    yield Other(url=f"{url}#aws", environ={}, name="aws", relay=relay, queue_url=queue, aws=sqs)
    sqs.close()
    sns.close()
