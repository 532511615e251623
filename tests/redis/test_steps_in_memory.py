"""Steps cost the broker nothing once they are taken, and nothing that was taken and not begun is lost by an end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kombu import Connection, Consumer, Queue
from redis import Redis

from config.celeryconfig import PLAIN_QUEUE, QUEUE, RECORDS_QUEUE
from worker.dispatch.steps_in_memory import StepsInMemory
from worker.embedded.redis_server import RunningRedis


@pytest.fixture
def broker(redis_server: RunningRedis, redis_url: str) -> Iterator[Any]:
    """A connection to an empty broker, as a worker has it; the queues are declared by their first message."""
    with Connection(redis_server.broker_url) as connection:
        connection.default_channel.QoS = StepsInMemory
        yield connection


def take(broker: Any, queue: str) -> Any:
    """Put a message into a queue and take it out again, unacknowledged."""
    broker.SimpleQueue(queue).put({"queue": queue})
    taken: list[Any] = []
    with Consumer(broker.default_channel, [Queue(queue, routing_key=queue)], callbacks=[lambda _, m: taken.append(m)]):
        broker.drain_events(timeout=5)
    [message] = taken
    return message


@pytest.mark.parametrize("queue", [QUEUE, f"{QUEUE}-north"])
def test_a_step_that_was_taken_is_not_in_redis_and_is_put_back_when_the_worker_ends(
    broker: Any, queue: str, redis_url: str
) -> None:
    take(broker, queue)
    with Redis.from_url(redis_url) as redis:
        assert redis.exists("unacked", "unacked_index") == 0
        assert redis.llen(queue) == 0
        broker.default_channel.close()
        assert redis.llen(queue) == 1


def test_a_step_that_has_begun_is_gone(broker: Any, redis_url: str) -> None:
    take(broker, QUEUE).ack()
    broker.default_channel.close()
    with Redis.from_url(redis_url) as redis:
        assert redis.llen(QUEUE) == 0


@pytest.mark.parametrize("queue", [RECORDS_QUEUE, PLAIN_QUEUE])
def test_records_stay_in_redis_until_they_are_acknowledged(broker: Any, queue: str, redis_url: str) -> None:
    message = take(broker, queue)
    with Redis.from_url(redis_url) as redis:
        assert redis.hlen("unacked") == 1
        message.ack()
        assert redis.exists("unacked", "unacked_index") == 0


def test_a_message_of_others_is_given_back(broker: Any, redis_url: str) -> None:
    take(broker, PLAIN_QUEUE).requeue()
    with Redis.from_url(redis_url) as redis:
        assert redis.llen(PLAIN_QUEUE) == 1
        assert redis.exists("unacked") == 0
