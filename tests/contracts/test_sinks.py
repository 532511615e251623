"""What every sink does: one suite over real servers on loopback, each fed by a real pump from a real outbox."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from config.settings import load_settings
from tests.contracts.conftest import Tell, Way, by_listing
from tests.contracts.others import KINDS
from worker.core.delivery import Word
from worker.ledger.outbox import Letter
from worker.sinks.opening import open_sinks

PUMPED = tuple(kind for kind in KINDS if kind != "stream")


@pytest.mark.parametrize("kind", KINDS)
def test_every_message_arrives_whole_and_each_listings_in_order(way: Tell, kind: str) -> None:
    async def story(way: Way) -> None:
        for number in range(12):
            for listing in ("one", "two", "three"):
                await way.put(listing, number)
        async with way.pumping():
            await way.put("late", 0)
            events = await way.until_got(37)
        found = by_listing(events)
        for listing in ("one", "two", "three"):
            assert found[listing] == [f"{listing}-{number}" for number in range(12)]
        assert all(event["data"] == {"é": "日本"} for event in events)
        assert len(events) == 37, "with nothing failing nothing comes twice"

    way(kind, story)


@pytest.mark.parametrize("kind", PUMPED)
def test_what_can_not_be_delivered_waits_until_it_can(way: Tell, kind: str) -> None:
    async def story(way: Way) -> None:
        relay = way.other.relay
        assert relay is not None
        relay.cut()
        async with way.pumping():
            for number in range(4):
                for listing in ("one", "two", "three"):
                    await way.put(listing, number)

            async def down() -> bool:
                return (await way.view()).times_down > 0

            await way.until("that the sink is down", down)
            assert (await way.view()).reason
            assert (await way.view()).waiting == 12
            relay.mend()

            async def some() -> bool:
                return len(await asyncio.to_thread(way.other.got)) >= 3

            await way.until("the first messages", some)
            # And once more while messages are on their way.
            relay.cut()
            await way.put("four", *range(6))
            relay.mend()
            events = await way.until_got(18)
        found = by_listing(events)
        assert all(
            found[listing] == [f"{listing}-{number}" for number in range(len(found[listing]))] for listing in found
        )
        view = await way.view()
        assert (view.dead, view.reason, view.times_down) == (0, None, 0)

    way(kind, story)


@pytest.mark.parametrize("kind", PUMPED)
def test_a_message_that_is_sent_again_has_the_same_id(way: Tell, kind: str) -> None:
    async def story(way: Way) -> None:
        event = json.dumps({"id": "e", "type": "t", "subject": "one", "data": {}})
        now_ms = int(time.time() * 1000)
        letter = Letter(listing="one", entry="1-1", event=event, tries=0, now_ms=now_ms)
        async with open_sinks(way.settings) as sinks:
            for _ in range(2):
                [outcome] = await sinks[0].send([letter])
                assert outcome.word is Word.DELIVERED
        copies = 1 if "fifo" in kind else 2

        async def there() -> bool:
            return len(await asyncio.to_thread(way.other.got)) == copies

        await way.until("the message", there)
        assert {event["id"] for event in way.other.got()} == {"e"}

    way(kind, story)


@pytest.mark.parametrize("kind", PUMPED)
def test_a_sink_says_whether_it_can_be_reached(way: Tell, kind: str) -> None:
    async def story(way: Way) -> None:
        async with open_sinks(way.settings) as [sink]:
            assert (await sink.check()).word is Word.DELIVERED
            assert way.other.relay is not None
            way.other.relay.cut()
            trouble = await sink.check()
            assert trouble.word is Word.DOWN
            assert trouble.reason
        assert way.other.got() == [], "nothing was sent"

    way(kind, story)


@pytest.mark.parametrize(
    ("kind", "refusal"),
    [
        ("https", {"answer": 422}),
        ("sqs", {"padding": "x" * 1_100_000}),
        ("sqs-fifo", {"padding": "x" * 1_100_000}),
        ("sns", {"padding": "x" * 300_000}),
    ],
)
def test_what_is_refused_for_good_becomes_a_dead_letter_and_the_rest_goes_on(
    way: Tell, kind: str, refusal: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    async def story(way: Way) -> None:
        for listing in ("one", "two"):
            await way.put(listing, 0)
        await way.put("one", 1, **refusal)
        for listing in ("one", "two"):
            await way.put(listing, 2)
        async with way.pumping():
            events = await way.until_got(4)
        assert by_listing(events) == {"one": ["one-0", "one-2"], "two": ["two-0", "two-2"]}
        [dead] = await way.ledger.outbox.dead(way.other.name)
        assert json.loads(dead.event)["id"] == "one-1"
        assert "refuse" in dead.reason
        assert (await way.view()).dead == 1

    way(kind, story)
    [told] = [record for record in caplog.records if record.getMessage() == "message given up"]
    assert vars(told)["message_id"] == "one-1"
    assert "event" not in vars(told), "it would stand where the log says what happened"


def test_another_process_goes_on_when_one_ends(way: Tell) -> None:
    async def story(way: Way) -> None:
        for number in range(5):
            async with way.pumping(f"w{number}"), way.pumping(f"v{number}"):
                await way.put("one", number)
                events = await way.until_got(number + 1)
        assert [event["id"] for event in events] == [f"one-{number}" for number in range(5)]

    way("https", story)


def test_fifo_messages_carry_id_and_listing_as_the_service_wants_them(way: Tell) -> None:
    async def story(way: Way) -> None:
        async with way.pumping():
            await way.put("one", 0)
            await way.until_got(1)
        [message] = way.other.messages
        assert message["Attributes"]["MessageDeduplicationId"] == "one-0"
        assert message["Attributes"]["MessageGroupId"] == "one"
        assert message["MessageAttributes"]["type"]["StringValue"] == "stagecrew.test.v1"

    way("sqs-fifo", story)


def test_a_queue_is_found_by_its_arn_and_by_its_url_too(way: Tell) -> None:
    async def story(way: Way) -> None:
        queue = way.settings.sinks[0].target
        events = []
        for number, url in enumerate(
            (
                f"sqs://arn:aws:sqs:eu-west-1:123456789012:{queue}",
                f"sqs://sqs.eu-west-1.amazonaws.com/123456789012/{queue}",
            )
        ):
            settings = load_settings(
                {"STAGECREW_REDIS_URL": way.settings.redis_url_text, "STAGECREW_COMPLETIONS_URL": f"{url}#aws"}
            )
            again = Way(settings=settings, other=way.other, ledger=way.ledger)
            async with again.pumping():
                await again.put("one", number)
                events = await again.until_got(number + 1)
        assert len(events) == 2

    way("sqs", story)


def test_a_queue_that_does_not_exist_makes_the_sink_down_and_costs_no_message(way: Tell) -> None:
    async def story(way: Way) -> None:
        way.other.aws.delete_queue(QueueUrl=way.other.queue_url)
        await way.put("one", 0)
        async with way.pumping():

            async def down() -> bool:
                return (await way.view()).times_down > 0

            await way.until("that the sink is down", down)
            assert "NonExistentQueue" in ((await way.view()).reason or "")
            way.other.aws.create_queue(QueueName=way.settings.sinks[0].target)
            await way.until_got(1)

    way("sqs", story)
