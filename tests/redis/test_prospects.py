"""What the photos that wait may expect, read from the rings and the limits in force."""

from __future__ import annotations

import pytest

from tests.redis.conftest import Account, Tell
from worker.core.photo import Stage


def test_photos_that_wait_are_counted_by_partner_and_priority(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin(hands=2)
        await account.enqueue("a", 5, partner="acme")
        await account.enqueue("g", 4, partner="globex", priority=7)
        await account.advance(Stage.ACCEPTED, until=Stage.INGESTED)
        waiting = (await account.ledger.prospect()).waiting
        assert {(some.partner, some.priority): some.photos for some in waiting if some.partner == "acme"} == {
            ("acme", 0): 5
        }
        assert sum(some.photos for some in waiting if some.partner == "globex") == 4, "two of them are ready already"

    tell(story)


def test_the_rate_follows_the_limits_in_force_and_the_learnt_durations(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 20)
        for photo in await account.advance(Stage.ACCEPTED, until=Stage.DONE):
            assert photo.token
        account.push(60_000)
        await account.beat("worker-1")
        for sent in await account.dispatch():
            kinds = ("staging:photo", "all")
            await account.settle(await account.take(sent), Stage.DONE, duration_ms=30_000, duration_kinds=kinds)
        prospect = await account.ledger.prospect()
        assert prospect.learnt
        assert prospect.rates.job_ms == pytest.approx(30_000, rel=0.09)
        assert prospect.rates.in_flight == account.in_flight

    tell(story)
