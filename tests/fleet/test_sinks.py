"""Every sink at once, each one's server killed and started again in mid-run: nothing lost, ids stable, order kept."""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from redis import Redis

from tests.fleet.conftest import Fleet, free_port
from tests.receiver import received
from tests.relay import relay_to
from tests.schemas import hold
from worker.core.photo import Stage
from worker.embedded.processes import spawn
from worker.embedded.redis_server import embedded_redis
from worker.ledger.snapshot import Snapshot

Build = Callable[..., Fleet]

PHOTOS = 60
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
AWS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "a-secret-of-aws", "AWS_REGION": "eu-west-1"}


@pytest.fixture
def aws_port() -> Iterator[int]:
    """Serve SQS. It keeps its queues in memory, so its cable is cut instead of killing it."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


def first_comings(events: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Return each listing's ids in the order of their first coming; copies must be the same message."""
    bodies: dict[str, dict[str, Any]] = {}
    found: dict[str, list[str]] = defaultdict(list)
    for event in events:
        hold(event)
        assert bodies.setdefault(event["id"], event) == event, "one id, one message"
        if event["id"] not in found[event["data"]["listing_id"]]:
            found[event["data"]["listing_id"]].append(event["id"])
    return found


def received_by_sqs(sqs: Any, queue: str) -> list[dict[str, Any]]:
    """Return and delete what is in a queue."""
    events = []
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            events.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return events


def published(broker_url: str, queue: str) -> list[dict[str, Any]]:
    """Return the events in the tasks that wait in a queue of Celery's, the oldest first."""
    with Redis.from_url(broker_url, decode_responses=True) as client:
        messages = [json.loads(text) for text in reversed(client.lrange(queue, 0, -1))]
    events = []
    for message in messages:
        [[event], _, _] = json.loads(base64.b64decode(message["body"]))
        assert (message["headers"]["task"], message["headers"]["id"]) == ("theirs.on_staged", event["id"])
        events.append(event)
    return events


def test_every_sink_survives_that_its_server_and_the_workers_are_killed(fleet: Build, aws_port: int) -> None:
    with contextlib.ExitStack() as stack:
        crew = fleet(workers=0)
        relay = stack.enter_context(relay_to(aws_port))
        broker = stack.enter_context(embedded_redis(crew.folder / "broker", tcp=True))
        sqs = boto3.Session("test", "a-secret-of-aws", region_name="eu-west-1").client(
            "sqs", endpoint_url=f"http://127.0.0.1:{aws_port}"
        )
        stack.callback(sqs.close)
        queue = sqs.create_queue(QueueName="done.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
        hook, taken = free_port(), crew.folder / "received.jsonl"

        def start_receiver() -> subprocess.Popen[bytes]:
            return spawn([sys.executable, "-m", "tests.receiver", str(hook), str(taken), SECRET])

        receiver = start_receiver()
        stack.callback(lambda: receiver.kill() or receiver.wait())
        crew.environ |= AWS | {
            "AWS_ENDPOINT_URL_SQS": f"http://127.0.0.1:{relay.port}",
            "STAGECREW_BROKER_URL": broker.url,
            "STAGECREW_LIMITS__IN_FLIGHT": "8",
            "STAGECREW_COMPLETIONS_URL": (
                f"redis+stream://done sqs://done.fifo http://127.0.0.1:{hook}/hook#hook celery://theirs.on_staged"
            ),
            "STAGECREW_COMPLETIONS_SECRET": SECRET,
        }
        for _ in range(2):
            crew.start_worker()
        crew.enqueue(crew.photos(PHOTOS))

        def kill_receiver() -> None:
            receiver.kill()
            receiver.wait()

        def restart_receiver() -> None:
            nonlocal receiver
            receiver = start_receiver()

        def kill_a_worker() -> None:
            pumps = {sink.pump for sink in crew.snapshot().sinks}
            delivers = [at for at, _ in enumerate(crew.workers) if f"w{at + 1}@test" in pumps]
            crew.kill(crew.workers[delivers[0] if delivers else 0])
            crew.start_worker()

        #: What happens when so many photos are done.
        strikes: list[tuple[int, Callable[[], object]]] = [
            (4, kill_receiver),
            (8, relay.cut),
            (14, restart_receiver),
            (18, relay.mend),
            (22, kill_a_worker),
            (28, broker.kill),
            (28, broker.restart),
            (34, crew.redis.kill),
            (34, crew.redis.restart),
            (40, relay.cut),
            (44, kill_receiver),
            (50, relay.mend),
            (54, restart_receiver),
        ]
        down: dict[str, str] = {}

        def strike() -> None:
            snapshot = crew.snapshot()
            down.update({sink.name: sink.reason for sink in snapshot.sinks if sink.times_down and sink.reason})
            while strikes and strikes[0][0] <= snapshot.stages.get(Stage.DONE, 0):
                strikes.pop(0)[1]()

        crew.wait_for_all(PHOTOS, strike)
        assert strikes == []

        def all_delivered(snapshot: Snapshot) -> bool:
            return all(sink.waiting == 0 for sink in snapshot.sinks)

        crew.wait_for("the last deliveries", all_delivered)
        crew.check_books(staged=PHOTOS)
        streamed = crew.events()
        assert len(streamed) == PHOTOS + PHOTOS // 5
        expected = first_comings(streamed)
        assert first_comings(received(taken)) == expected, "https"
        assert first_comings(published(broker.url, "celery")) == expected, "celery"
        queued = received_by_sqs(sqs, queue)
        assert first_comings(queued) == expected, "sqs"
        assert len(queued) == len(streamed), "a FIFO queue drops what comes twice"
        assert {"hook", "sqs-done.fifo"} <= down.keys(), "status said that they were down"
        assert all(sink.dead == sink.dead_total == 0 for sink in crew.snapshot().sinks)
        assert "a-secret-of-aws" not in crew.logs()
        assert SECRET not in crew.logs()
