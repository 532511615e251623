"""Nothing is lost and nothing happens twice, whatever is killed: workers, the leader, all of them, Redis."""

from __future__ import annotations

import random
from collections.abc import Callable

from redis.exceptions import RedisError

from tests.fleet.conftest import Fleet
from worker.core.photo import Stage

Build = Callable[..., Fleet]

PHOTOS = 200
KILLS = 12


def test_photos_survive_kills_of_workers_the_leader_all_at_once_and_redis(fleet: Build) -> None:
    """At least ten SIGKILLs of busy workers and two of Redis, at chosen moments of the run's progress."""
    crew = fleet(workers=2)
    dice = random.Random(7)
    crew.enqueue(crew.photos(PHOTOS))
    crew.wait_for("the first jobs", lambda snapshot: snapshot.slots_used > 10)
    killed, busy_kills, redis_kills = 0, 0, 0

    def strike() -> None:
        nonlocal killed, busy_kills, redis_kills
        if killed >= KILLS:
            return
        try:
            snapshot = crew.snapshot()
        except RedisError:
            return  # it is still reading its file: the next look strikes
        # Spread over the run by how far it is, with some photos left for after the last one.
        if snapshot.stages.get(Stage.DONE, 0) < killed * PHOTOS // (KILLS + 3):
            return
        busy_kills += snapshot.leases > 0
        killed += 1
        if killed == 4:  # all at once
            for worker in list(crew.workers):
                crew.kill(worker)
            crew.start_worker()
            crew.start_worker()
        elif killed in {6, 10}:
            crew.redis.kill()
            crew.redis.restart()
            redis_kills += 1
        else:
            leads = [name for name in (snapshot.leader or "").split("@")[:1] if name.startswith("w")]
            position = 0 if leads and killed % 2 else dice.randrange(len(crew.workers))
            crew.kill(crew.workers[position])
            crew.start_worker()

    crew.wait_for_all(PHOTOS, strike)
    assert (killed, redis_kills) == (KILLS, 2)
    books = crew.check_books(staged=PHOTOS)
    assert books["jobs_created"] == PHOTOS
