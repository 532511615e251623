"""A lease is opened by one worker, and a grant is one call's: messages and questions may come twice."""

from __future__ import annotations

import json

from tests.redis.conftest import WINDOW_MS, Account, Tell
from worker.core.photo import Stage
from worker.core.routes import Route
from worker.flow.admission import Granted, Wait


def test_a_message_that_comes_twice_makes_one_call(tell: Tell) -> None:
    """Both workers would hold the lease's token, and both would call on one grant."""

    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        [sent] = await account.dispatch()
        photo = await account.take(sent)
        assert (await account.ledger.open(sent.step, [(sent.key, sent.token)])).opened == ()
        assert await account.settle(photo, Stage.INGESTED)
        assert len(await account.dispatch()) == 1

    tell(story)


def test_opening_is_repeated_by_who_did_it_without_harm(tell: Tell) -> None:
    """redis-py repeats a command after a time-out."""

    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        [sent] = await account.dispatch()
        args = ["", 5_000, sent.step.value, "", 0, 0, "me", sent.key, sent.token]
        for _ in range(2):
            answer = json.loads(await account.ledger.scripts.call("worker.ledger.lua", "open", args))
            assert answer[3] != 0

    tell(story)


def test_a_grant_that_is_asked_for_again_counts_from_then_on(tell: Tell) -> None:
    """What was granted first was too old to be sent, so the call comes in after the second answer."""

    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", account.limit + 1)
        first, *others = [await account.take(sent) for sent in await account.dispatch()]
        for photo in [first, *others]:
            assert isinstance(await account.admit(photo, Route.SOURCE_ASSETS), Granted)
        account.push(4_000)
        assert isinstance(await account.admit(first, Route.SOURCE_ASSETS), Granted)
        account.push(WINDOW_MS - 4_000 + 1)
        for photo in [first, *others]:
            await account.renew(photo)
        await account.beat("worker-1")
        [last] = [await account.take(sent) for sent in await account.dispatch()]
        granted = [await account.admit(photo, Route.SOURCE_ASSETS) for photo in [*others, last]]
        assert [type(answer) for answer in granted] == [Granted] * len(others) + [Wait], (
            "the first one is still counted"
        )

    tell(story)
