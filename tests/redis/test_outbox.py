"""The outbox: nothing is lost or overtaken on its way to a sink, and no sink waits for another."""

from __future__ import annotations

import json
from typing import Any

from tests.redis.conftest import STREAM, Account, Tell
from worker.core.delivery import MAX_TRIES, Settlement, Word
from worker.core.photo import Stage
from worker.ledger.outbox import Claim, Letter
from worker.ledger.snapshot import SinkView

LEASE_MS = 5_000


async def put(account: Account, listing: str, *names: str) -> None:
    """Put messages into every outbox."""
    for name in names:
        event = json.dumps({"id": name, "type": "t"})
        assert await account.ledger.announce(event, order=listing)


async def claim(account: Account, sink: str = "a", *, pump: str = "p1", room: int = 10, busy: Any = ()) -> Claim:
    return await account.ledger.outbox.claim(sink, pump, lease_ms=LEASE_MS, room=room, busy=busy)


async def settle(account: Account, letter: Letter, word: Word, wait_ms: int = 0, sink: str = "a") -> int:
    what = Settlement(word=word, wait_ms=wait_ms, reason="why" if word is not Word.DELIVERED else "")
    return await account.ledger.outbox.settle(sink, [(letter, what)])


def names(found: Claim) -> list[str]:
    return [letter.event_id for letter in found.letters]


async def views(account: Account) -> dict[str, SinkView]:
    return {sink.name: sink for sink in (await account.snapshot()).sinks}


def test_the_end_of_a_photo_puts_its_messages_on_the_stream_and_into_every_outbox(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        await account.enqueue("one", 1)
        [sent] = await account.dispatch()
        photo = await account.take(sent)
        for _ in range(2):  # redis-py repeats a command after a time-out
            await account.settle(photo, Stage.DONE, event='{"id":"e","type":"t"}')
        streamed = await account.events()
        assert len(streamed) == 2, "the photo's and the listing's"
        for sink in ("a", "b"):
            delivered = []
            while found := (await claim(account, sink)).letters:
                [letter] = found
                delivered.append(letter.event)
                await settle(account, letter, Word.DELIVERED, sink=sink)
            assert delivered == streamed

    tell(story, outboxes=("a", "b"))


def test_without_a_stream_nothing_goes_to_one(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await put(account, "one", "m")
        assert await account.redis.exists(STREAM) == 0
        assert await account.events() == []
        assert names(await claim(account)) == ["m"]

    tell(story, outboxes=("a",), stream="")


def test_a_listings_messages_are_given_one_at_a_time_and_in_order(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await put(account, "one", "1", "2", "3")
        order = []
        for _ in range(3):
            [letter] = (await claim(account)).letters
            assert names(await claim(account, busy=[letter.listing])) == [], "it is on its way"
            order.append(letter.event_id)
            await settle(account, letter, Word.DELIVERED)
        assert order == ["1", "2", "3"]
        assert (await claim(account)).wait_ms is None

    tell(story, outboxes=("a",))


def test_many_listings_are_given_at_once_and_a_long_one_keeps_nobody_waiting(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await put(account, "long", *(f"long {number}" for number in range(20)))
        await put(account, "short", "short 0")
        account.push(1)
        assert names(await claim(account)) == ["long 0", "short 0"]
        [first] = (await claim(account, room=1)).letters
        await settle(account, first, Word.DELIVERED)
        account.push(1)
        assert names(await claim(account, room=1)) == ["short 0"], "each listing has its turn"

    tell(story, outboxes=("a",))


def test_a_failed_message_waits_with_its_listing_and_nobody_else_does(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await put(account, "one", "1", "2")
        await put(account, "two", "other")
        bad, good = sorted((await claim(account)).letters, key=lambda letter: letter.event_id)
        await settle(account, bad, Word.RETRY, 30_000)
        await settle(account, good, Word.DELIVERED)
        waiting = await claim(account)
        assert (names(waiting), waiting.wait_ms) == ([], 30_000)
        account.push(30_000)
        [again] = (await claim(account)).letters
        assert (again.event_id, again.tries) == ("1", 1)
        sink = (await views(account))["a"]
        assert (sink.waiting, sink.failing, sink.reason) == (2, 1, "why")

    tell(story, outboxes=("a",))


def test_the_wait_after_a_failure_outlives_the_process_that_saw_it(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await put(account, "one", "1")
        [letter] = (await claim(account, pump="p1")).letters
        await settle(account, letter, Word.RETRY, 30_000)
        await account.ledger.outbox.release("a", "p1")
        found = await claim(account, pump="p2")
        assert (found.leads, names(found), found.wait_ms) == (True, [], 30_000)

    tell(story, outboxes=("a",))


def test_one_process_delivers_to_a_sink_and_another_takes_over_when_its_lease_is_gone(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await put(account, "one", "1")
        outbox = account.ledger.outbox
        assert names(await claim(account, pump="p1")) == ["1"]
        follower = await claim(account, pump="p2")
        assert not follower.leads
        assert follower.wait_ms is not None
        assert 0 < follower.wait_ms <= LEASE_MS
        assert names(await claim(account, "b", pump="p2")) == ["1"], "each sink has a lease of its own"
        await outbox.release("a", "p2")
        assert not (await claim(account, pump="p2")).leads, "only its holder can give it up"
        await account.redis.delete("sc1:{default}:pump:a")  # it ran out
        assert names(await claim(account, pump="p2")) == ["1"], "what was on its way is sent again at once"
        assert not (await claim(account, pump="p1")).leads

    tell(story, outboxes=("a", "b"))


def test_settling_twice_or_late_takes_no_message_away(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await put(account, "one", "1", "2")
        [first] = (await claim(account)).letters
        assert await settle(account, first, Word.DELIVERED) == 1
        for word in (Word.DELIVERED, Word.DEAD, Word.RETRY, Word.DOWN):
            assert await settle(account, first, word, 60_000) == 0
        found = await claim(account)
        assert (names(found), found.times_down) == (["2"], 0)

    tell(story, outboxes=("a",))


def test_a_sink_that_is_down_is_left_alone_and_then_tried_with_one_message(tell: Tell) -> None:
    async def story(account: Account) -> None:
        for listing in ("one", "two", "three"):
            await put(account, listing, f"{listing} 1")
        letters = (await claim(account)).letters
        for letter in letters:  # calls that were on their way together
            await settle(account, letter, Word.DOWN, 8_000)
        paused = await claim(account)
        assert (names(paused), paused.wait_ms, paused.times_down) == ([], 8_000, 1)
        sink = (await views(account))["a"]
        assert (sink.times_down, sink.paused_ms, sink.reason, sink.failing) == (1, 8_000, "why", 0)
        tried = set()
        for _ in range(3):
            account.push(8_000)
            [probe] = (await claim(account)).letters
            assert probe.tries == 0, "that the sink is down costs no message a try"
            assert names(await claim(account, busy=[probe.listing])) == []
            tried.add(probe.event_id)
            await settle(account, probe, Word.DOWN, 8_000)
        assert len(tried) == 3, "no message alone decides whether the sink is down"
        account.push(8_000)
        [probe] = (await claim(account)).letters
        await settle(account, probe, Word.DELIVERED)
        assert len((await claim(account)).letters) == 2
        sink = (await views(account))["a"]
        assert (sink.times_down, sink.reason) == (0, None)

    tell(story, outboxes=("a",))


def test_a_dead_letter_lets_the_listing_go_on_and_comes_back_at_its_end(tell: Tell) -> None:
    async def story(account: Account) -> None:
        outbox = account.ledger.outbox
        await put(account, "one", "1", "2", "3")
        [letter] = (await claim(account)).letters
        await settle(account, letter, Word.DEAD)
        [dead] = await outbox.dead("a")
        assert (json.loads(dead.event)["id"], dead.reason, dead.tries) == ("1", "why", 1)
        [second] = (await claim(account)).letters
        assert second.event_id == "2"
        assert await outbox.replay("a") == 1
        assert await outbox.replay("a") == 0, "it is back already"
        order = []
        while found := (await claim(account)).letters:
            order.append(found[0].event_id)
            await settle(account, found[0], Word.DELIVERED)
        assert order == ["2", "3", "1"], "under its old id"
        sink = (await views(account))["a"]
        assert (sink.waiting, sink.dead, sink.dead_total, sink.delivered_total) == (0, 0, 1, 3)

    tell(story, outboxes=("a",))


def test_only_the_dead_letters_of_a_listing_are_replayed_when_asked(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await account.begin()
        for listing in ("one", "two"):
            await account.enqueue(listing, 1)
        for sent in await account.dispatch():
            await account.settle(await account.take(sent), Stage.DONE)
        for letter in (await claim(account)).letters:
            await settle(account, letter, Word.DEAD)
        assert await account.ledger.outbox.replay("a", listings=["two"]) == 1
        [letter] = (await claim(account)).letters
        assert json.loads(letter.event)["subject"] == "two"

    tell(story, outboxes=("a",))


def test_a_replay_ends_the_sinks_pause(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await put(account, "one", "1")
        [letter] = (await claim(account)).letters
        await settle(account, letter, Word.DOWN, 3_600_000)
        await account.ledger.outbox.replay("a")
        assert names(await claim(account)) == ["1"]

    tell(story, outboxes=("a",))


def test_dead_letters_can_be_dropped_and_a_removed_sink_be_forgotten(tell: Tell) -> None:
    async def story(account: Account) -> None:
        outbox = account.ledger.outbox
        await put(account, "one", "1", "2")
        await put(account, "two", "3")
        [letter, _] = (await claim(account)).letters
        await settle(account, letter, Word.DEAD)
        assert await outbox.forget("a", waiting=False) == 1
        assert (await outbox.dead("a"), await outbox.waiting("a")) == ([], 2)
        assert await outbox.forget("a", waiting=True) == 2
        assert await outbox.known() == ("b",)
        assert {key for key in await account.redis.keys("*") if f"{key}:".find(":a:") > 0} == set()
        assert await outbox.waiting("b") == 3

    tell(story, outboxes=("a", "b"))


def test_a_message_of_its_own_is_sent_once_whatever_is_repeated(tell: Tell) -> None:
    async def story(account: Account) -> None:
        assert await account.ledger.announce('{"id":"id","type":"t"}')
        assert not await account.ledger.announce('{"id":"id","type":"t"}')
        assert len(await account.events()) == 1
        assert await account.ledger.outbox.waiting("a") == 1

    tell(story, outboxes=("a",))


def test_the_picture_shows_sinks_that_have_nothing_yet_and_those_that_are_set_no_more(tell: Tell) -> None:
    async def story(account: Account) -> None:
        assert {(sink.name, sink.configured, sink.waiting) for sink in (await views(account)).values()} == {
            ("a", True, 0)
        }
        await put(account, "one", "1")
        await claim(account, pump="worker@host/1")
        assert (await views(account))["a"].pump == "worker@host"

    tell(story, outboxes=("a",))


def test_an_entry_that_somebody_deleted_by_hand_stops_nothing(tell: Tell) -> None:
    async def story(account: Account) -> None:
        await put(account, "one", "1", "2")
        [letter] = (await claim(account)).letters
        await account.redis.xdel("sc1:{default}:outbox:a", letter.entry)
        hole = await claim(account)
        assert (names(hole), hole.wait_ms) == ([], 0)
        assert names(await claim(account)) == ["2"]

    tell(story, outboxes=("a",))


def test_so_many_tries_take_hours() -> None:
    from worker.core.delivery import retry, settlement

    waits = [settlement(retry("x"), tries=tries, times_down=0, jitter=0.5).wait_ms for tries in range(MAX_TRIES)]
    assert 12 < sum(waits) / 3_600_000 < 24
