"""A cap over two days against the sandbox: the bill of each day is the cap, and what is over it waits."""

from __future__ import annotations

from collections import Counter

from tests.money.conftest import DAY_MS, HOUR_MS, Desk, Tell
from worker.core.photo import Stage

CAP = 100
PHOTOS = 250
#: Rounds in which a hundred photos are staged, and then some.
ROUNDS = 12


async def a_day(desk: Desk) -> tuple[int, int]:
    """Let the fleet work for a while; return how many photos are staged and how many are not."""
    await desk.rounds(ROUNDS)
    stages = (await desk.services.ledger.snapshot()).stages
    return stages.get(Stage.DONE, 0), sum(stages.values()) - stages.get(Stage.DONE, 0)


def test_a_cap_of_a_hundred_a_day_stages_a_hundred_each_day_and_the_rest_waits(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        # Well after midnight, so that no round of a day is in the next.
        await desk.push(DAY_MS - desk.clock_ms % DAY_MS + HOUR_MS)
        await desk.enqueue("house", PHOTOS)
        assert await a_day(desk) == (CAP, PHOTOS - CAP)
        [capped] = (await desk.services.ledger.snapshot()).capped
        assert (capped.cap, capped.number, capped.waiting) == ("day", CAP, PHOTOS - CAP)
        assert "the cap of 100 billable jobs a day is reached" in " ".join((await desk.stagecrew("status")).split())
        await desk.push(DAY_MS)
        assert await a_day(desk) == (2 * CAP, PHOTOS - 2 * CAP)
        jobs = (await desk.books())["jobs"]
        assert sorted(Counter(job["created_ms"] // DAY_MS for job in jobs).values()) == [CAP, CAP]
        assert {view.stage for view in await desk.services.ledger.listing("house")} <= {
            Stage.DONE,
            Stage.ACCEPTED,
            Stage.INGESTED,
        }

    tell(story, STAGECREW_CAPS__ACCOUNT_PER_DAY=str(CAP))
