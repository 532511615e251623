"""Budgets outlive their Redis: what may have been sent before it was lost or restarted counts as sent."""

from __future__ import annotations

from tests.redis.conftest import WINDOW_MS, Account, Tell


def test_an_emptied_redis_counts_as_a_whole_window_spent(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("a", 1)
        assert len(await account.dispatch()) == 1
        await account.redis.flushall()
        await account.beat("worker-1")
        await account.enqueue("a", 1)
        assert await account.dispatch() == ()
        account.push(WINDOW_MS - 1)
        await account.beat("worker-1")
        assert await account.dispatch() == ()
        account.push(2)
        assert len(await account.dispatch()) == 1

    tell(story)


def test_a_restarted_redis_holds_its_budgets_before_any_script_can_spend_them(tell: Tell) -> None:
    """A restart empties the server's script cache, which is how it is noticed."""

    async def story(account: Account) -> None:
        await account.begin()
        await account.dispatch()
        await account.redis.set("sc1:{default}:boot", 0)
        await account.dispatch()
        assert await account.redis.get("sc1:{default}:boot") == "0", "nothing is held while the server runs on"
        await account.redis.script_flush()
        await account.enqueue("a", 1)
        assert await account.dispatch() == ()
        account.push(1_999)
        assert await account.dispatch() == ()
        account.push(1)
        assert len(await account.dispatch()) == 1

    tell(story)
