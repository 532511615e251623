"""Another picture of a staged photo: asked for once, under flow control, whatever else happens to the photo."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.redis.conftest import LEASE_MS, Account, Tell
from worker.core.photo import Photo, Stage, StepName
from worker.core.routes import Route
from worker.core.step import Ending
from worker.flow.admission import Granted, Wait
from worker.ledger.control import Control
from worker.ledger.snapshot import Verdict
from worker.ledger.verdicts import CancelVerdict, Regenerated, RegenerateVerdict
from worker.storage.latest import point_to
from worker.storage.manifest import Manifest
from worker.storage.store import ObjectStore, open_store

PHOTO = ("a", "photo-0")


async def staged(account: Account, count: int = 1) -> None:
    """Let `count` photos of listing `a` be staged."""
    await account.enqueue("a", count)
    for sent in await account.dispatch():
        await account.settle(await account.take(sent), Stage.DONE, fields={"job_id": f"first {sent.label}"})


async def regenerate(account: Account, number: int | None = None) -> Regenerated:
    [answer] = await Control(account.ledger).regenerate([PHOTO], number=number)
    return answer


async def next_photo(account: Account) -> Photo:
    [sent] = await account.dispatch()
    return await account.take(sent)


async def made(account: Account, job_id: str) -> None:
    """Let the regeneration that waits be made."""
    photo = await next_photo(account)
    await account.settle(photo, Stage.DONE, fields={"job_id": job_id}, event=json.dumps({"id": job_id}))


def test_another_picture_waits_for_a_slot_and_is_made_from_the_job_before(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await staged(account)
        answer = await regenerate(account)
        assert (answer.verdict, answer.number, answer.stage) == (RegenerateVerdict.ASKED, 1, Stage.INGESTED)
        [sent] = await account.dispatch()
        assert sent.step is StepName.CREATE_GENERATION
        photo = await account.take(sent)
        assert (photo.regeneration, photo.parent_job_id, photo.job_id) == (1, "first a/photo-0", None)
        assert photo.revision == 2

    tell(story)


def test_asking_again_while_one_is_on_its_way_buys_no_second(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await staged(account)
        await regenerate(account)
        for stage in (Stage.CREATING, Stage.GENERATING, Stage.STORING):
            again = await regenerate(account)
            assert (again.verdict, again.number) == (RegenerateVerdict.ON_ITS_WAY, 1)
            await account.settle(await next_photo(account), stage)
        [view] = await account.ledger.views([PHOTO])
        assert view.revision == 2

    tell(story)


def test_each_picture_has_a_number_and_all_jobs_are_remembered(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await staged(account)
        for number in (1, 2, 3):
            assert (await regenerate(account)).number == number
            await made(account, f"job-{number}")
        [view] = await account.ledger.views([PHOTO])
        assert (view.regeneration, view.job_id, view.parent_job_id, view.revision) == (3, "job-3", "job-2", 4)
        assert view.earlier_jobs == ("first a/photo-0", "job-1", "job-2")

    tell(story)


def test_a_request_that_says_which_number_it_means_never_buys_one_more(tell: Tell) -> None:
    """A client that had no answer asks again, perhaps after the picture has been made."""

    async def story(account: Account) -> None:
        await account.begin()
        await staged(account)
        assert (await regenerate(account, number=1)).verdict is RegenerateVerdict.ASKED
        assert (await regenerate(account, number=1)).verdict is RegenerateVerdict.ON_ITS_WAY
        await made(account, "job-1")
        answer = await regenerate(account, number=1)
        assert (answer.verdict, answer.stage, answer.number) == (RegenerateVerdict.THERE, Stage.DONE, 1)
        assert (await regenerate(account, number=2)).verdict is RegenerateVerdict.ASKED

    tell(story)


def test_what_was_never_staged_or_is_unknown_is_not_regenerated(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        assert (await regenerate(account)).verdict is RegenerateVerdict.UNKNOWN
        await account.enqueue("a", 1)
        answer = await regenerate(account)
        assert (answer.verdict, answer.stage) == (RegenerateVerdict.NOT_STAGED, Stage.ACCEPTED)
        photo = await next_photo(account)
        await account.settle(photo, Stage.FAILED, Ending.FAIL, error_code="c", error_message="m")
        answer = await regenerate(account)
        assert (answer.verdict, answer.stage) == (RegenerateVerdict.NOT_STAGED, Stage.FAILED)

    tell(story)


def test_the_listing_is_announced_again_as_other_news(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await staged(account)
        for number in (1, 2):
            await regenerate(account)
            await made(account, f"job-{number}")
        listings = [event for text in await account.events() if "photos" in (event := json.loads(text)).get("data", {})]
        assert [event["data"]["photos"][0]["regeneration"] for event in listings] == [0, 1, 2]
        assert len({event["id"] for event in listings}) == 3

    tell(story)


def test_it_takes_a_grant_of_its_own_route_and_a_slot(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await staged(account)
        await regenerate(account)
        photo = await next_photo(account)
        await account.admission.refused(Route.REGENERATE.value, 5_000)
        more = {"takes_slot": True, "stage": Stage.CREATING}
        assert await account.admit(photo, Route.REGENERATE, **more) == Wait(ms=5_000)
        account.push(5_001)
        assert isinstance(await account.admit(photo, Route.REGENERATE, **more), Granted)
        snapshot = await account.snapshot()
        used = {budget.route: budget.used for budget in snapshot.budgets}
        assert (used["regenerate"], used["generations"], snapshot.slots_used) == (1, 0, 1)

    tell(story)


def test_a_changed_request_takes_the_place_of_another_picture_that_was_not_sent(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await staged(account)
        await regenerate(account)
        [answer] = await account.enqueue("a", 1, style="coastal")
        assert answer.verdict is Verdict.REVISED
        photo = await next_photo(account)
        assert (photo.stage, photo.regeneration, photo.parent_job_id) == (Stage.ACCEPTED, 0, None)
        assert photo.request.style_preset == "coastal"

    tell(story)


def test_a_changed_request_waits_for_another_picture_that_was_sent_and_then_follows(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await staged(account)
        await regenerate(account)
        [sent] = await account.dispatch()
        photo = await account.create(sent)
        [answer] = await account.enqueue("a", 1, style="coastal")
        assert answer.verdict is Verdict.QUEUED_REVISION
        assert (await regenerate(account)).verdict is RegenerateVerdict.ON_ITS_WAY
        await account.settle(photo, Stage.GENERATING, fields={"job_id": "second"})
        await account.settle(await next_photo(account), Stage.DONE, release_slot=True)
        photo = await next_photo(account)
        assert (photo.request.style_preset, photo.regeneration, photo.revision) == ("coastal", 0, 3)
        answer = await regenerate(account)
        assert (answer.verdict, answer.stage) == (RegenerateVerdict.NOT_STAGED, Stage.ACCEPTED)

    tell(story)


def test_a_lost_lease_leaves_the_intent_of_another_picture_to_be_sent_again(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await staged(account)
        await regenerate(account)
        [sent] = await account.dispatch()
        await account.create(sent)
        account.push(LEASE_MS + 1)
        await account.beat("worker-1")
        photo = await next_photo(account)
        assert (photo.stage, photo.body, photo.idempotency_key, photo.regeneration) == (Stage.CREATING, "{}", "k", 1)

    tell(story)


def test_a_replay_of_a_failed_one_makes_the_same_number_again_and_asking_makes_the_next(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await staged(account)
        await regenerate(account)
        failed = {"ending": Ending.FAIL, "error_code": "c", "error_message": "m", "fields": {"job_id": "bad"}}
        await account.settle(await next_photo(account), Stage.FAILED, **failed)
        [view] = await account.ledger.views([PHOTO])
        assert await account.ledger.replay([view.key]) == 1
        photo = await next_photo(account)
        assert (photo.stage, photo.regeneration, photo.create_try) == (Stage.INGESTED, 1, 1)
        assert photo.parent_job_id == "first a/photo-0"
        await account.settle(photo, Stage.FAILED, **failed)
        answer = await regenerate(account)
        assert (answer.verdict, answer.number) == (RegenerateVerdict.ASKED, 2)
        photo = await next_photo(account)
        assert (photo.regeneration, photo.create_try, photo.parent_job_id) == (2, 0, "first a/photo-0")

    tell(story)


def test_another_picture_that_waits_can_be_withdrawn_and_the_first_stays(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await staged(account)
        await regenerate(account)
        [answer] = await Control(account.ledger).cancel([PHOTO])
        assert answer.verdict is CancelVerdict.WITHDRAWN
        cancelled = json.loads((await account.events())[-2])["data"]
        assert (cancelled["regeneration"], cancelled["parent_job_id"]) == (1, "first a/photo-0")
        again = await regenerate(account)
        assert (again.verdict, again.number) == (RegenerateVerdict.ASKED, 2)

    tell(story)


async def only_in_store(folder: Path, regeneration: int) -> ObjectStore:
    """Return a store that has the latest picture of a photo whose row has expired."""
    manifest = Manifest(
        account="default",
        listing_id="a",
        photo_id="photo-0",
        partner="acme",
        fingerprint="f" * 32,
        revision=1 + regeneration,
        regeneration=regeneration,
        job_id="old",
        request={"source": "/a/0.jpg", "workflow": "staging", "capture_type": "photo"},
        outputs=(),
        created_at="",
        staged_at="",
        metadata={"agent": "Ada"},
    )
    place = folder / "a" / "photo-0" / ("f" * 32) / (f"r{regeneration}" if regeneration else "")
    place.mkdir(parents=True)
    (place / "manifest.json").write_text(manifest.model_dump_json())
    store = open_store(folder.as_uri())
    await point_to(store, manifest, accepted_ms=1)
    return store


def test_a_number_that_is_there_already_brings_no_expired_row_back(tell: Tell, tmp_path: Path) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        control = Control(account.ledger, store=await only_in_store(tmp_path, 2))
        for number in (1, 2):
            [answer] = await control.regenerate([PHOTO], number=number)
            assert (answer.verdict, answer.stage, answer.number) == (RegenerateVerdict.THERE, Stage.DONE, 2)
        assert await account.ledger.listing("a") == []
        assert (await account.snapshot()).stages == {}

    tell(story)


@pytest.mark.parametrize("regeneration", [0, 2])
def test_a_photo_whose_row_has_expired_is_regenerated_from_its_manifest(
    tell: Tell, tmp_path: Path, regeneration: int
) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        control = Control(account.ledger, store=await only_in_store(tmp_path, regeneration))
        [answer] = await control.regenerate([PHOTO])
        assert (answer.verdict, answer.number) == (RegenerateVerdict.ASKED, regeneration + 1)
        [answer] = await control.regenerate([PHOTO])
        assert answer.verdict is RegenerateVerdict.ON_ITS_WAY
        photo = await next_photo(account)
        assert (photo.parent_job_id, photo.partner, photo.metadata) == ("old", "acme", {"agent": "Ada"})
        assert photo.fingerprint == "f" * 32
        await account.settle(photo, Stage.DONE)
        [listing] = [json.loads(event) for event in await account.events()]
        assert listing["data"]["photos"][0]["regeneration"] == regeneration + 1
        assert (await account.snapshot()).stages == {Stage.DONE: 1}

    tell(story)


def test_many_that_wait_for_another_picture_hold_up_nobody_elses_first_one(tell: Tell) -> None:
    """They need no source, so they are no part of what is made ready for slots; and partners take turns."""

    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 9, partner="large")
        while sent := await account.dispatch():
            for one in sent:
                await account.settle(await account.take(one), Stage.DONE, fields={"job_id": one.key})
        names = [(view.listing_id, view.photo_id) for view in await account.ledger.listing("a")]
        await Control(account.ledger).regenerate(names)
        await account.enqueue("b", 2, partner="small")
        sent = await account.dispatch()
        steps = [(one.label.partition("/")[0], one.step) for one in sent]
        assert steps.count(("a", StepName.CREATE_GENERATION)) == account.in_flight
        assert steps.count(("b", StepName.INGEST_SOURCE)) == 2
        for one in sent:
            if one.step is StepName.INGEST_SOURCE:
                await account.settle(await account.take(one), Stage.INGESTED)
            else:
                photo = await account.create(one)
                await account.settle(photo, Stage.DONE, release_slot=True)
        labels = [one.label.partition("/")[0] for one in await account.dispatch()]
        assert labels.count("b") == 2, "a turn each, not all of the others first"
        assert await account.redis.zcard("sc1:{default}:remaking") == 6

    tell(story, look_ahead=4)
