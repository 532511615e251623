"""What a worker that ends, or that meets a newer release, leaves to others: it costs photos nothing, and fails none."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from tests.redis.conftest import LEASE_MS, Account, Tell
from worker import keys
from worker.core.photo import Stage, StepName
from worker.dispatch.dispatcher import Dispatcher
from worker.flow.dispatching import Dispatched
from worker.flow.limits import ALIVE_MS
from worker.lua import source

ROOT = keys.root("default")


async def row_of(account: Account, sent: Dispatched) -> dict[str, str]:
    found: dict[str, str] = await account.redis.hgetall(f"{ROOT}p:{sent.key}")  # type: ignore[misc]
    return found


async def leased(account: Account) -> set[str]:
    return set(await account.redis.zrange(f"{ROOT}leases", 0, -1))


def test_a_lease_that_is_given_back_goes_out_again_at_once_and_counts_for_nothing(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("elm", 1)
        [sent] = await account.dispatch()
        assert await account.ledger.give_back([(sent.key, sent.token)]) == 1
        assert await leased(account) == set()
        [again] = await account.dispatch()
        assert (again.key, again.step) == (sent.key, sent.step)
        assert again.token != sent.token
        assert await account.ledger.give_back([(sent.key, sent.token)]) == 0, "the old token is worth nothing"
        photo = await account.take(again)
        assert (photo.attempt, photo.lost) == (0, 0)

    tell(story)


def test_a_step_that_was_begun_is_not_given_back(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("elm", 1)
        [sent] = await account.dispatch()
        photo = await account.take(sent)
        assert await account.ledger.give_back([(sent.key, sent.token)]) == 0
        assert await account.settle(photo, Stage.INGESTING)

    tell(story)


def test_the_last_worker_to_go_takes_back_what_nobody_began_and_nothing_else(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.beat("worker-2")
        await account.enqueue("elm", 3)
        sent = await account.dispatch()
        begun = await account.take(sent[0])
        await account.beat("worker-1", hands=0)
        assert len(await leased(account)) == 3, "another one may have the messages"
        await account.beat("worker-2", hands=0)
        assert await leased(account) == {begun.key}
        assert await account.settle(begun, Stage.INGESTING)
        await account.beat("worker-3")
        again = await account.dispatch("worker-3")
        assert {photo.key for photo in again} >= {photo.key for photo in sent[1:]}
        assert [photo.key for photo in again if "lost" in await row_of(account, photo)] == []

    tell(story)


def test_of_a_worker_that_died_nothing_stays(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        account.push(ALIVE_MS + 1)
        await account.beat("worker-2")
        await account.dispatch("worker-2")
        assert await account.redis.hkeys(f"{ROOT}hands") == ["worker-2"]  # type: ignore[misc]
        assert [worker.name for worker in (await account.snapshot()).workers] == ["worker-2"]

    tell(story)


def test_a_leader_that_drains_in_its_sleep_gives_up_its_lead_for_good(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        asleep = asyncio.Event()

        async def sleep(*_: object, **__: object) -> None:
            asleep.set()
            await asyncio.Event().wait()

        parts: Any = SimpleNamespace(
            admission=account.admission,
            dispatching=account.dispatching,
            redis=SimpleNamespace(blpop=sleep),
            scripts=account.ledger.scripts,
        )
        leading = Dispatcher(parts, name="worker-1", hands=10, busy=lambda: 0, publish=lambda *_: None)
        run = asyncio.create_task(leading.run())
        await asleep.wait()
        leading.drain()
        await run
        assert await account.redis.get(f"{ROOT}leader") is None
        assert not await account.follows("worker-2")

    tell(story)


def test_a_row_of_a_newer_release_is_left_to_it_and_its_neighbours_are_not(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("elm", 2)
        newer, ours = await account.dispatch()
        await account.redis.hset(f"{ROOT}p:{newer.key}", mapping={"v": 2, "stage": "accepted"})  # type: ignore[misc]
        before = await row_of(account, newer)
        batch = await account.ledger.open(StepName.INGEST_SOURCE, [(newer.key, newer.token), (ours.key, ours.token)])
        assert [opened.photo.key for opened in batch.opened] == [ours.key]
        assert batch.newer == 1
        assert await leased(account) == {ours.key}
        assert await row_of(account, newer) == before | {"token": ""}
        assert await account.dispatch() == (), "not at once again"
        account.push(2_000)
        assert [sent.key for sent in await account.dispatch()] == [newer.key]

    tell(story)


def test_a_stage_that_only_a_newer_release_knows_keeps_its_lease_and_holds_up_no_dispatch(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("elm", 1)
        [sent] = await account.dispatch()
        await account.redis.hset(f"{ROOT}p:{sent.key}", mapping={"v": 2, "stage": "polishing"})  # type: ignore[misc]
        before = await row_of(account, sent)
        assert await account.ledger.give_back([(sent.key, sent.token)]) == 0
        account.push(LEASE_MS + 1)
        await account.beat("worker-1")
        await account.enqueue("oak", 1)
        assert len(await account.dispatch()) == 1
        assert sent.key in await leased(account), "whoever knows the stage takes it back"
        await account.beat("worker-1", hands=0)
        assert await row_of(account, sent) == before

    tell(story)


def test_new_rows_say_the_version_that_is_understood(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("elm", 1)
        [sent] = await account.dispatch()
        assert (await row_of(account, sent))["v"] == "1"
        assert "local ROW = 1\n" in source("worker.ledger.lua", "open")

    tell(story)
