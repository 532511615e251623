"""Neither what stands in a fleet's queues and is no message, nor a Redis that takes no writes, ends a worker."""

from __future__ import annotations

from collections.abc import Callable

from redis import Redis

from chaos.evidence import surprises
from chaos.poison import poison
from tests.fleet.conftest import Fleet

Build = Callable[..., Fleet]

KINDS = 16


def test_a_worker_outlives_everything_that_is_no_message_of_ours_and_a_redis_that_takes_no_writes(fleet: Build) -> None:
    crew = fleet(workers=1)
    crew.wait_for("the worker", lambda snapshot: bool(snapshot.workers))
    with Redis.from_url(crew.redis.url) as client:
        for number in range(KINDS):
            queue, message = poison((number + 0.5) / KINDS)
            client.lpush(queue, message)
        crew.enqueue(crew.photos(2))
        crew.wait_for_all(2)
        assert client.llen("stagecrew") == client.llen("stagecrew.enqueue") == 0
        assert surprises({"the worker": crew.logs()}) == {}, "`make chaos` foresees what poison is answered with"
        # As with a full disk, every write is refused; a pop from a queue is one.
        client.config_set("min-replicas-to-write", 1)
        crew.wait_for("the refusal", lambda _: "NOREPLICAS" in crew.logs())
        client.config_set("min-replicas-to-write", 0)
    crew.enqueue(crew.photos(4))
    crew.wait_for_all(4)
    crew.check_books(staged=4)
    assert crew.workers[0].poll() is None, crew.log_tail()
    assert "it is dropped, and the connection begun anew" in crew.logs()
