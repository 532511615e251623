"""The ledger: rows change by the lease's token only, intake is idempotent, every end is announced once."""

from __future__ import annotations

import json

from tests.redis.conftest import LEASE_MS, Account, Tell
from worker.core.photo import Stage
from worker.core.routes import Route
from worker.core.step import Ending
from worker.flow.admission import Stale
from worker.ledger.snapshot import Verdict


def test_the_same_listing_again_changes_nothing(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        assert {answer.verdict for answer in await account.enqueue("a", 3)} == {Verdict.ACCEPTED}
        before = await account.redis.dump("sc1:{default}:backlog:source:0")
        assert {answer.verdict for answer in await account.enqueue("a", 3)} == {Verdict.SAME}
        assert await account.redis.dump("sc1:{default}:backlog:source:0") == before
        assert (await account.snapshot()).stages == {Stage.ACCEPTED: 3}

    tell(story)


def test_a_photo_added_to_a_listing_is_new_and_the_others_stay(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        verdicts = [answer.verdict for answer in await account.enqueue("a", 2)]
        assert verdicts == [Verdict.SAME, Verdict.ACCEPTED]

    tell(story)


def test_a_changed_request_takes_the_place_of_one_that_is_not_paid_for(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        [answer] = await account.enqueue("a", 1, style="coastal")
        assert (answer.verdict, answer.stage) == (Verdict.REVISED, Stage.ACCEPTED)
        [view] = await account.ledger.listing("a")
        assert view.revision == 2
        assert len(await account.dispatch()) == 1, "the photo waits once, not once a revision"

    tell(story)


def test_a_changed_request_waits_for_the_end_of_a_paid_job_and_then_follows(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        await account.advance(Stage.ACCEPTED, until=Stage.INGESTED)
        [sent] = await account.dispatch()
        photo = await account.create(sent)
        [answer] = await account.enqueue("a", 1, style="coastal")
        assert answer.verdict is Verdict.QUEUED_REVISION
        await account.settle(photo, Stage.GENERATING, fields={"job_id": "j"})
        [sent] = await account.dispatch()
        await account.settle(await account.take(sent), Stage.DONE, release_slot=True, event='{"id":"first"}')
        [view] = await account.ledger.listing("a")
        assert (view.stage, view.revision, view.job_id) == (Stage.ACCEPTED, 2, None)
        assert [json.loads(event)["id"] for event in await account.events()] == ["first"], "the listing is still open"

    tell(story)


def test_a_request_changed_and_changed_back_leaves_the_first_one_alone(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        [sent] = await account.dispatch()
        photo = await account.take(sent)
        await account.enqueue("a", 1, style="coastal")
        [answer] = await account.enqueue("a", 1)
        assert answer.verdict is Verdict.SAME
        await account.settle(photo, Stage.INGESTED)
        [view] = await account.ledger.listing("a")
        assert (view.stage, view.revision) == (Stage.INGESTED, 1)

    tell(story)


def test_a_lease_that_ran_out_is_handed_out_anew_and_its_old_holder_can_do_nothing(tell: Tell) -> None:
    """The zombie: a worker that was stopped for longer than its lease and goes on."""

    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        [old] = await account.dispatch()
        zombie = await account.take(old)
        account.push(LEASE_MS + 1)
        await account.beat("worker-1")
        [new] = await account.dispatch()
        assert new.key == old.key
        assert new.token != old.token
        assert isinstance(await account.admit(zombie, Route.SOURCE_ASSETS), Stale)
        assert not await account.settle(zombie, Stage.INGESTED)
        assert await account.ledger.renew([(old.key, old.token)]) == {old.key}
        assert (await account.ledger.open(old.step, [(old.key, old.token)])).opened == ()
        assert await account.settle(await account.take(new), Stage.INGESTED)

    tell(story)


def test_a_renewed_lease_is_not_handed_out(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        [sent] = await account.dispatch()
        await account.take(sent)
        for _ in range(5):
            account.push(LEASE_MS - 1)
            assert await account.ledger.renew([(sent.key, sent.token)]) == set()
        await account.beat("worker-1")
        assert await account.dispatch() == ()

    tell(story)


def test_losses_are_counted_only_while_somebody_was_at_it(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        for opened in (False, True, True):
            [sent] = await account.dispatch()
            if opened:
                await account.take(sent)
            account.push(LEASE_MS + 1)
            await account.beat("worker-1")
        [sent] = await account.dispatch()
        assert (await account.take(sent)).lost == 2

    tell(story)


def test_settling_twice_with_one_token_counts_once(tell: Tell) -> None:
    """redis-py repeats a command after a time-out, so the second call must answer as the first did."""

    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        [sent] = await account.dispatch()
        photo = await account.take(sent)
        for _ in range(3):
            assert await account.settle(photo, Stage.DONE, event='{"id":"e"}')
        assert len(await account.events()) == 2, "the photo's and the listing's"
        assert (await account.snapshot()).stages == {Stage.DONE: 1}

    tell(story)


def test_a_listing_is_announced_when_its_last_photo_has_ended_also_when_some_failed(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 3)
        sent = await account.dispatch()
        for one, stage in zip(sent, (Stage.DONE, Stage.FAILED, Stage.DONE), strict=True):
            before = len(await account.events())
            await account.settle(await account.take(one), stage, event='{"id":"photo"}')
            assert len(await account.events()) == before + (2 if one is sent[-1] else 1)
        listing = json.loads((await account.events())[-1])
        assert listing["type"] == "stagecrew.listing.completed.v1"
        assert listing["subject"] == "a"
        assert (listing["data"]["staged"], listing["data"]["failed"]) == (2, 1)
        assert [photo["stage"] for photo in listing["data"]["photos"]].count("failed") == 1

    tell(story)


def test_a_photo_that_waits_for_a_person_keeps_its_listing_open_and_is_listed(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        [sent] = await account.dispatch()
        photo = await account.take(sent)
        await account.settle(photo, Stage.UNCERTAIN, Ending.FAIL, error_code="outcome_unknown", error_message="look")
        assert await account.events() == []
        [view] = await account.ledger.photos(Stage.UNCERTAIN)
        assert (view.listing_id, view.error_code, view.error_message) == ("a", "outcome_unknown", "look")
        assert await account.ledger.replay([view.key]) == 0
        assert await account.ledger.replay([view.key], create_again=True) == 1
        assert await account.ledger.photos(Stage.UNCERTAIN) == []

    tell(story)


def test_a_replayed_photo_goes_the_whole_way_under_a_new_key(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        [sent] = await account.dispatch()
        await account.settle(await account.take(sent), Stage.FAILED, Ending.FAIL, error_code="c", error_message="m")
        [view] = await account.ledger.photos(Stage.FAILED)
        assert await account.ledger.replay([view.key]) == 1
        assert await account.ledger.replay([view.key]) == 0, "it is not failed any more"
        [sent] = await account.dispatch()
        photo = await account.take(sent)
        assert (photo.stage, photo.create_try, photo.error_code) == (Stage.ACCEPTED, 1, None)

    tell(story)


def test_a_replay_of_a_paid_photo_reads_its_job_again_and_buys_nothing(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        [sent] = await account.dispatch()
        photo = await account.take(sent)
        fields = {"job_id": "j", "resume": "1"}
        await account.settle(photo, Stage.FAILED, Ending.FAIL, fields=fields, error_code="c", error_message="m")
        [view] = await account.ledger.photos(Stage.FAILED)
        assert await account.ledger.replay([view.key]) == 1
        [sent] = await account.dispatch()
        photo = await account.take(sent)
        assert (photo.stage, photo.job_id, photo.create_try) == (Stage.GENERATING, "j", 0)
        await account.settle(photo, Stage.DONE)
        assert len(await account.events()) == 2, "the listing ends a second time, with its photo"
        assert (await account.snapshot()).stages == {Stage.DONE: 1}

    tell(story)


def test_a_changed_request_that_waited_in_an_uncertain_photo_is_what_a_replay_makes(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        await account.advance(Stage.ACCEPTED, until=Stage.INGESTED)
        [sent] = await account.dispatch()
        photo = await account.create(sent)
        await account.settle(photo, Stage.UNCERTAIN, Ending.FAIL, error_code="c", error_message="m")
        [answer] = await account.enqueue("a", 1, style="coastal")
        assert answer.verdict is Verdict.QUEUED_REVISION
        [view] = await account.ledger.photos(Stage.UNCERTAIN)
        assert await account.ledger.replay([view.key], create_again=True) == 1
        [sent] = await account.dispatch()
        photo = await account.take(sent)
        assert (photo.request.style_preset, photo.revision, photo.create_try) == ("coastal", 2, 0)
        assert (await account.snapshot()).slots_used == 0

    tell(story)


def test_the_list_of_failed_photos_forgets_with_their_rows(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 2)
        first, second = await account.dispatch()
        await account.settle(await account.take(first), Stage.FAILED, Ending.FAIL, error_code="c", error_message="m")
        taken = await account.take(second)
        account.push(86_400_001)
        await account.settle(taken, Stage.DONE)
        assert await account.redis.zcard("sc1:{default}:held:failed") == 0

    tell(story)


def test_rows_and_listings_expire_only_after_their_end(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        rows = [key for key in await account.redis.keys("*") if ":p:" in key or ":l:" in key]
        assert [await account.redis.pttl(key) for key in rows] == [-1, -1]
        [sent] = await account.dispatch()
        await account.settle(await account.take(sent), Stage.DONE)
        assert all([await account.redis.pttl(key) > 0 for key in rows])
        await account.enqueue("a", 1, style="coastal")
        assert [await account.redis.pttl(key) for key in rows] == [-1, -1]

    tell(story)


def test_a_listing_that_had_ended_is_kept_while_a_new_photo_of_it_is_open(tell: Tell) -> None:
    """Else it would be forgotten under a photo that waits long, and be completed without the others."""

    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        [sent] = await account.dispatch()
        await account.settle(await account.take(sent), Stage.DONE)
        [listing] = [key for key in await account.redis.keys("*") if ":l:" in key]
        assert await account.redis.pttl(listing) > 0
        await account.enqueue("a", 2)
        assert await account.redis.pttl(listing) == -1
        [sent] = await account.dispatch()
        await account.settle(await account.take(sent), Stage.DONE)
        assert await account.redis.pttl(listing) > 0

    tell(story)
