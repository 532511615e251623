"""What every sink does: one suite over real servers on loopback, each fed by a real pump from a real outbox."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from config.settings import Settings, load_settings
from tests.contracts.conftest import KINDS, SECRET, Other, open_other
from tests.receiver import received
from worker.core.delivery import Word
from worker.ledger.ledger import Ledger
from worker.ledger.outbox import Letter
from worker.ledger.snapshot import SinkView
from worker.services import open_ledger
from worker.sinks.opening import open_sinks
from worker.sinks.pump import open_pumps

#: What has not come within this is lost, not late.
DEADLINE_S = 60.0
PUMPED = tuple(kind for kind in KINDS if kind != "stream")


@dataclass
class Way:
    """The way from the outbox to the other side."""

    settings: Settings
    other: Other
    ledger: Ledger

    async def put(self, listing: str, *numbers: int, **data: Any) -> None:
        """Send messages of a listing."""
        for number in numbers:
            name = f"{listing}-{number}"
            event = {"id": name, "type": "stagecrew.test.v1", "subject": listing, "data": {"é": "日本", **data}}
            await self.ledger.announce(name, json.dumps(event), order=listing)

    @contextlib.asynccontextmanager
    async def pumping(self, name: str = "w") -> AsyncIterator[None]:
        """Deliver while the block runs, as a worker process does."""
        async with open_pumps(self.settings, self.ledger.outbox, name=name) as pumps:
            running = asyncio.create_task(pumps.run())
            yield
            pumps.drain()
            await running

    async def until(self, what: str, true: Callable[[], Awaitable[bool]]) -> None:
        """Return when something has come."""
        deadline_s = time.monotonic() + DEADLINE_S
        while not await true():
            assert time.monotonic() < deadline_s, f"{what} did not come: {(await self.ledger.snapshot()).sinks}"
            await asyncio.sleep(0.02)

    async def until_got(self, count: int) -> list[dict[str, Any]]:
        """Return what arrived when so many different messages have, and nothing waits any more."""

        async def there() -> bool:
            return len({event["id"] for event in await asyncio.to_thread(self.other.got)}) == count

        async def settled() -> bool:
            return await self.ledger.outbox.waiting(self.other.name) == 0

        await self.until(f"{count} messages", there)
        await self.until("an empty outbox", settled)
        return await asyncio.to_thread(self.other.got)

    async def view(self) -> SinkView:
        """Return the sink as `status` shows it."""
        return next(sink for sink in (await self.ledger.snapshot()).sinks if sink.name == self.other.name)


Story = Callable[[Way], Coroutine[Any, Any, None]]
Tell = Callable[..., None]


@pytest.fixture
def way(
    tmp_path: Path, redis_url: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Tell]:
    """Tell a story of a kind of sink: `way("https", story)`."""
    with contextlib.ExitStack() as stack:

        def run(kind: str, story: Story, **changes: str) -> None:
            port = request.getfixturevalue("aws_port") if kind[:3] in {"sqs", "sns"} else 0
            other = stack.enter_context(open_other(kind, tmp_path, redis_url, port, monkeypatch))
            environ = {
                "STAGECREW_REDIS_URL": redis_url,
                "STAGECREW_ALLOW_PRIVATE_HOSTS": "true",
                "STAGECREW_COMPLETIONS_URL": other.url,
            }
            settings = load_settings(environ | other.environ | changes)

            async def live() -> None:
                async with open_ledger(settings) as ledger:
                    await story(Way(settings=settings, other=other, ledger=ledger))

            asyncio.run(live())

        yield run


def by_listing(events: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Return the ids of each listing's messages, each at its first coming."""
    found: dict[str, list[str]] = defaultdict(list)
    for event in events:
        if event["id"] not in found[event["subject"]]:
            found[event["subject"]].append(event["id"])
    return found


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
    way: Tell, kind: str, refusal: dict[str, Any]
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


@pytest.mark.parametrize("answer", [500, 401, 404, 302, 408])
def test_an_answer_that_may_change_costs_a_try_and_the_listing_waits(way: Tell, answer: int) -> None:
    async def story(way: Way) -> None:
        await way.put("one", 0, answer=answer)
        await way.put("one", 1)
        await way.put("two", 0)
        async with way.pumping():

            async def tried() -> bool:
                assert way.other.file is not None
                return len(received(way.other.file, answer=answer)) > 1

            await way.until("a second try", tried)
        assert by_listing(way.other.got()) == {"two": ["two-0"]}
        view = await way.view()
        assert (view.waiting, view.failing, view.times_down, view.dead) == (2, 1, 0, 0)
        assert str(answer) in (view.reason or "")

    way("https", story)


@pytest.mark.parametrize(("answer", "least_ms"), [(410, 3_000_000), (429, 80_000)])
def test_a_receiver_that_wants_to_be_left_alone_is(way: Tell, answer: int, least_ms: int) -> None:
    async def story(way: Way) -> None:
        await way.put("one", 0, answer=answer, headers={"Retry-After": "90"})
        async with way.pumping():

            async def paused() -> bool:
                return (await way.view()).paused_ms > 0

            await way.until("the pause", paused)
            await way.put("two", 0)
        assert way.other.got() == []
        view = await way.view()
        assert view.paused_ms > least_ms
        assert (view.waiting, view.failing) == (2, 0)

    way("https", story)


def test_all_secrets_sign_so_that_a_receiver_may_change_to_the_next(way: Tell) -> None:
    async def story(way: Way) -> None:
        async with way.pumping():
            await way.put("one", 0)
            await way.until_got(1)

    way("https", story, STAGECREW_COMPLETIONS_SECRET=f"another-one {SECRET}")
    way("https", story, STAGECREW_COMPLETIONS_SECRET=f"hook={SECRET} another-one")


def test_a_private_address_is_not_called_unless_that_is_allowed(way: Tell) -> None:
    async def story(way: Way) -> None:
        relay = way.other.relay
        assert relay is not None
        for host in ("127.0.0.1", "localhost"):
            settings = load_settings(
                {
                    "STAGECREW_REDIS_URL": way.settings.redis_url_text,
                    "STAGECREW_COMPLETIONS_URL": f"https://{host}:{relay.port}/hook#hook",
                    "STAGECREW_COMPLETIONS_SECRET": SECRET,
                }
            )
            event = json.dumps({"id": "e", "type": "t"})
            letter = Letter(listing="one", entry="1-1", event=event, tries=0, now_ms=0)
            async with open_sinks(settings) as [sink]:
                for outcome in (*(await sink.send([letter])), await sink.check()):
                    assert outcome.word is Word.DOWN
                    assert "private address" in outcome.reason
        assert relay.connections == 0

    way("https", story)


def test_a_sink_that_hangs_holds_up_no_other(way: Tell, tmp_path: Path) -> None:
    async def story(way: Way) -> None:
        # A server that takes connections and never answers.
        silent = socket.create_server(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        urls = f"http://127.0.0.1:{port}/#silent {way.other.url} redis+stream://done"
        settings = load_settings(
            {
                "STAGECREW_REDIS_URL": way.settings.redis_url_text,
                "STAGECREW_ALLOW_PRIVATE_HOSTS": "true",
                "STAGECREW_COMPLETIONS_URL": urls,
                "STAGECREW_COMPLETIONS_SECRET": SECRET,
            }
        )
        async with open_ledger(settings) as ledger:
            both = Way(settings=settings, other=way.other, ledger=ledger)
            async with open_pumps(settings, ledger.outbox, name="w") as pumps:
                running = asyncio.create_task(pumps.run())
                for number in range(5):
                    await both.put("one", number)
                events = await both.until_got(5)
                running.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await running
            assert [event["id"] for event in events] == [f"one-{number}" for number in range(5)]
            assert len(await ledger.completions()) == 5
            assert await ledger.outbox.waiting("silent") == 5
        silent.close()

    way("https", story)
