"""An unanswered create is never bought again unseen: replayed for 23 hours, then looked for, then left to a person."""

from __future__ import annotations

import json

import httpx
from redis.asyncio import Redis

from tests.money.conftest import DAY_MS, HOUR_MS, Desk, Tell, webhook
from worker.core.photo import Stage, StepName
from worker.pipeline.uncertain import MOST_CANDIDATES, look_for_jobs

CREATE = {StepName.INGEST_SOURCE, StepName.POLL_INGEST, StepName.CREATE_GENERATION}


async def until_creating(desk: Desk) -> None:
    """Take the only photo to a create whose answer never comes: what reached the API depends on the faults."""
    await desk.enqueue("house", 1)
    await desk.rounds(2, only=CREATE)
    assert (await desk.photo("house")).stage is Stage.INGESTED


async def lose_the_answer(desk: Desk, fault: str) -> None:
    await until_creating(desk)
    await desk.faults(**{fault: 1.0})
    await desk.rounds(1, only=CREATE)
    assert (await desk.photo("house")).stage is Stage.CREATING


def test_within_23_hours_it_is_replayed_with_the_same_key_and_bytes(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        await lose_the_answer(desk, "lost_responses")
        await desk.push(22 * HOUR_MS)
        await desk.faults(lost_responses=0.0)
        await desk.until({Stage.DONE: 1})
        books = await desk.books()
        assert (books["jobs_created"], books["replays"], books["conflicts"]) == (1, 1, 0)

    tell(story)


def test_later_its_job_is_found_in_the_billing_ledger_and_nothing_is_created(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        await lose_the_answer(desk, "lost_responses")
        await desk.push(23 * HOUR_MS)
        await desk.faults(lost_responses=0.0)
        await desk.rounds(1)
        photo = await desk.photo("house")
        assert photo.stage is Stage.UNCERTAIN
        assert "stagecrew resolve" in (photo.error_message or "")
        assert (await desk.services.ledger.snapshot()).slots_used == 0, "no job runs for 23 hours"
        looked = await look_for_jobs(desk.services, now_ms=desk.clock_ms)
        assert looked.found == ("house/photo-0",)
        await desk.until({Stage.DONE: 1})
        assert (await desk.books())["jobs_created"] == 1
        assert "everything adds up" in await desk.stagecrew("reconcile", "--since", "2d")

    tell(story)


def test_a_bill_that_comes_late_is_found_by_a_later_look(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        await lose_the_answer(desk, "lost_responses")
        await desk.push(DAY_MS)
        await desk.faults(lost_responses=0.0)
        await desk.rounds(1)
        assert (await look_for_jobs(desk.services, now_ms=desk.clock_ms)).unclear == 1
        await desk.push(30 * HOUR_MS)
        assert (await look_for_jobs(desk.services, now_ms=desk.clock_ms)).found == ("house/photo-0",)
        await desk.until({Stage.DONE: 1})

    tell(story, sandbox={"billing_delay_s": 48 * 3600})


def test_after_a_409_to_our_own_body_the_original_is_found(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        await until_creating(desk)
        # An earlier life sent the same create with a body of its own; its job has the same reference.
        await original(desk, reference=True)
        await desk.rounds(1, only=CREATE)
        assert (await desk.photo("house")).stage is Stage.UNCERTAIN
        assert (await desk.services.ledger.snapshot()).slots_used == 1, "that job may run now"
        await desk.push(HOUR_MS)
        assert (await look_for_jobs(desk.services, now_ms=desk.clock_ms)).found == ("house/photo-0",)
        await desk.until({Stage.DONE: 1})
        assert (await desk.books())["jobs_created"] == 1

    tell(story)


def test_every_uncertain_photo_is_looked_at_however_many_there_are(redis_url: str) -> None:
    import asyncio

    from tests.redis.conftest import Account
    from worker.core.identity import photo_key
    from worker.ledger.uncertain import AT_ONCE, UncertainPhotos

    async def live() -> None:
        async with Redis.from_url(redis_url, decode_responses=True, protocol=2) as redis:
            account, count = Account(redis), AT_ONCE * 2 + 1
            await account.enqueue("house", count)
            keys = {photo_key("house", f"photo-{number}"): number for number in range(count)}
            await redis.zadd("sc1:{default}:held:uncertain", keys)
            found = await UncertainPhotos(account.ledger.scripts).all(job_deadline_ms=1)
            assert [photo.photo_id for photo in found] == [f"photo-{number}" for number in range(count)]

    asyncio.run(live())


def test_two_photos_never_go_on_with_one_job(tell: Tell) -> None:
    """Two searches, or the fleet and a person, may have found the same job for them."""

    async def story(desk: Desk) -> None:
        await desk.enqueue("house", 2)
        await desk.rounds(2, only=CREATE)
        await desk.faults(errors_500=1.0)
        await desk.rounds(1, only=CREATE)
        await desk.push(DAY_MS)
        await desk.rounds(1)
        assert (await desk.services.ledger.snapshot()).stages == {Stage.UNCERTAIN: 2}
        first, second = [view.key for view in await desk.services.ledger.listing("house")]
        uncertain = desk.services.account.uncertain
        assert await uncertain.resolve(first, "gen_1")
        assert await uncertain.resolve(first, "gen_1"), "said again, it is so"
        assert not await uncertain.resolve(second, "gen_1")
        assert await uncertain.one(first) is None
        meant = await uncertain.one(second)
        assert meant is not None
        assert meant.label == "house/photo-1"

    tell(story)


async def original(desk: Desk, *, reference: bool, key: str | None = None) -> str:
    """Create a job of the photo's source as somebody else would; return its id."""
    from worker.core.identity import generation_key

    photo = await desk.photo("house")
    row = await desk.services.account.redis.hgetall(f"sc1:{{default}}:p:{photo.key}")  # type: ignore[misc]
    own = generation_key("default", "house", "photo-0", photo.fingerprint, 0)
    body = {
        "source_asset_id": row["source_asset_id"], "workflow": "staging", "capture_type": "photo", "mode": "refurnish",
        "style_preset": "modern", "reference": own if reference else "somebody-elses",
    }  # fmt: skip
    headers = {"Authorization": f"Bearer {desk.sandbox.api_key}", "Idempotency-Key": key or own}
    async with httpx.AsyncClient(base_url=desk.sandbox.base_url, headers=headers) as client:
        answer = await client.post("/api/v1/generations", content=json.dumps(body))
    return str(answer.json()["job_id"])


def test_a_job_of_the_same_source_with_anothers_reference_is_left_alone(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        await lose_the_answer(desk, "errors_500")
        await desk.faults(errors_500=0.0)
        job_id = await original(desk, reference=False, key="somebody-elses")
        await desk.push(DAY_MS)
        await desk.rounds(1)
        assert (await look_for_jobs(desk.services, now_ms=desk.clock_ms)).unclear == 1
        assert (await desk.photo("house")).stage is Stage.UNCERTAIN
        refused = await desk.stagecrew("resolve", "house/photo-0", "--job", job_id, code=1)
        assert "has the reference somebody-elses" in refused
        table = await desk.stagecrew("reconcile", "--since", "3d", code=1)
        assert "may be the create of house/photo-0 that was never answered" in table

    tell(story)


def test_what_stays_unclear_waits_for_a_person_who_names_the_job_or_creates_again(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        await lose_the_answer(desk, "errors_500")
        await desk.push(DAY_MS)
        await desk.faults(errors_500=0.0)
        await desk.rounds(3)
        assert (await desk.photo("house")).stage is Stage.UNCERTAIN
        assert (await desk.books())["jobs_created"] == 0, "nothing is created blindly"
        assert "the API knows no job" in await desk.stagecrew("resolve", "house/photo-0", "--job", "gen_X", code=1)
        assert "say one of" in await desk.stagecrew("resolve", "house/photo-0", code=2)
        assert "no such photo" in await desk.stagecrew("resolve", "house/x", "--create-again", code=1)
        await desk.stagecrew("resolve", "house/photo-0", "--create-again")
        await desk.until({Stage.DONE: 1})
        assert (await desk.books())["jobs_created"] == 1
        assert "is done, not uncertain" in await desk.stagecrew("resolve", "house/photo-0", "--create-again", code=1)

    tell(story)


def test_a_person_names_the_job_that_the_dashboard_shows(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        await lose_the_answer(desk, "lost_responses")
        await desk.push(DAY_MS)
        await desk.faults(lost_responses=0.0)
        await desk.rounds(1)
        [job] = (await desk.books())["jobs"]
        said = await desk.stagecrew("resolve", "house/photo-0", "--job", job["job_id"])
        assert f"goes on with {job['job_id']}" in said
        assert "not uncertain" in await desk.stagecrew("resolve", "house/photo-0", "--job", job["job_id"], code=1)
        await desk.until({Stage.DONE: 1})

    tell(story)


def test_a_regeneration_whose_answer_was_lost_is_found_among_the_bills_of_its_source(tell: Tell) -> None:
    """Its job has the first one's reference, for the body of a regeneration names none."""

    async def story(desk: Desk) -> None:
        await desk.enqueue("house", 1)
        await desk.until({Stage.DONE: 1})
        await desk.stagecrew("regenerate", "house/photo-0", "--yes")
        await desk.faults(lost_responses=1.0)
        await desk.rounds(1, only=CREATE)
        assert (await desk.photo("house")).stage is Stage.CREATING
        await desk.push(DAY_MS)
        await desk.faults(lost_responses=0.0)
        await desk.rounds(1)
        assert (await desk.photo("house")).stage is Stage.UNCERTAIN
        assert (await look_for_jobs(desk.services, now_ms=desk.clock_ms)).found == ("house/photo-0",)
        await desk.until({Stage.DONE: 1})
        assert (await desk.books())["jobs_created"] == 2
        answer = await desk.asked("reconcile", "--since", "3d", "--format", "json")
        assert answer["kinds"] == {
            "billed_and_staged": {"bills": 2, "amount_usd": "0.90", "without_amount": 0},
        }

    tell(story)


def test_a_job_that_the_api_denies_does_not_end_the_search(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        await lose_the_answer(desk, "lost_responses")
        await desk.push(DAY_MS)
        await desk.faults(lost_responses=0.0)
        await desk.rounds(1)
        [job] = (await desk.books())["jobs"]
        await desk.services.account.inbox.take(webhook("gen_0_denied", job["asset_id"]))
        assert (await look_for_jobs(desk.services, now_ms=desk.clock_ms)).found == ("house/photo-0",)

    tell(story)


def test_a_job_that_names_no_reference_is_not_taken_from_among_too_many(tell: Tell) -> None:
    """Of a regeneration, whose body names none; not every one of them was read, so another may be the one."""

    async def story(desk: Desk) -> None:
        await desk.enqueue("house", 1)
        await desk.until({Stage.DONE: 1})
        await desk.stagecrew("regenerate", "house/photo-0", "--yes")
        await desk.faults(lost_responses=1.0)
        await desk.rounds(1, only=CREATE)
        await desk.push(DAY_MS)
        await desk.faults(lost_responses=0.0)
        await desk.rounds(1)
        assert (await desk.photo("house")).stage is Stage.UNCERTAIN
        job = (await desk.books())["jobs"][-1]
        for other in [job["job_id"], *(f"zzz_{number}" for number in range(MOST_CANDIDATES))]:
            await desk.services.account.inbox.take(webhook(other, job["asset_id"]))
        assert (await look_for_jobs(desk.services, now_ms=desk.clock_ms)).unclear == 1

    tell(story, sandbox={"billing_delay_s": 30 * 86_400})


def test_its_job_is_found_among_webhooks_that_nobody_could_place(tell: Tell) -> None:
    """One that names no reference, of a job whose bill has not come: the row alone knows the source asset."""

    async def story(desk: Desk) -> None:
        await lose_the_answer(desk, "lost_responses")
        await desk.push(DAY_MS)
        await desk.faults(lost_responses=0.0)
        await desk.rounds(1)
        [job] = (await desk.books())["jobs"]
        await desk.services.account.inbox.take(webhook("gen_of_nobody", "src_of_nobody"))
        await desk.services.account.inbox.take(webhook(job["job_id"], job["asset_id"]))
        assert (await desk.photo("house")).stage is Stage.UNCERTAIN
        assert (await look_for_jobs(desk.services, now_ms=desk.clock_ms)).found == ("house/photo-0",)
        assert (await desk.books())["accepted"].get("billing", 0) == 0, "no bill had to be read"
        await desk.until({Stage.DONE: 1})
        assert (await desk.books())["jobs_created"] == 1

    tell(story, sandbox={"billing_delay_s": 30 * 86_400})
