"""What is late: steps long due, leases long over, jobs long in flight; and not what only waits for its turn."""

from __future__ import annotations

from tests.redis.conftest import LEASE_MS, Account, Tell
from worker.core.photo import Stage
from worker.core.step import Ending
from worker.ledger.lateness import Late, Lateness

GRACE_MS, JOB_MS = 60_000, 600_000


async def late(account: Account) -> dict[str, Late]:
    looking = Lateness(account.ledger.outbox._scripts, clock=str(account.clock_ms))
    return {one.what: one for one in await looking.late(grace_ms=GRACE_MS, job_ms=JOB_MS)}


def test_a_photo_is_late_when_its_time_is_long_over_and_nobody_takes_it(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("elm/12", 5)
        [ingesting] = (await account.dispatch())[:1]
        photo = await account.take(ingesting)
        await account.settle(photo, Stage.INGESTING, Ending.WAIT, delay_ms=1_000)
        account.push(GRACE_MS)
        assert "poll_ingest" not in await late(account)
        account.push(2_000)
        found = (await late(account))["poll_ingest"]
        assert (found.count, found.late_ms, found.names) == (1, GRACE_MS + 1_000, (f"elm/12/{photo.photo_id}",))

    tell(story)


def test_a_lost_workers_photos_are_late_when_nobody_hands_them_out_again(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 5)
        sent = await account.dispatch()
        account.push(LEASE_MS + GRACE_MS + 1)
        found = (await late(account))["leases"]
        assert (found.count, len(found.names)) == (len(sent), 3)

    tell(story)


def test_a_job_is_late_when_it_runs_longer_than_jobs_do_and_a_backlog_never_is(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 10)
        await account.advance(Stage.ACCEPTED, until=Stage.INGESTED)
        created = [await account.create(sent) for sent in await account.dispatch()]
        for photo in created:
            await account.settle(photo, Stage.GENERATING, Ending.WAIT, delay_ms=10**9, fields={"job_id": photo.key})
        assert await late(account) == {}
        account.push(JOB_MS + GRACE_MS + 1)
        assert {what: one.count for what, one in (await late(account)).items()} == {"slots": len(created)}

    tell(story)
