"""Messages by https: signed as Standard Webhooks has it, and every answer taken for what it means."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket

import pytest

from config.settings import load_settings
from tests.contracts.conftest import Tell, Way, by_listing
from tests.contracts.others import SECRET
from tests.receiver import received
from worker.core.delivery import Word
from worker.ledger.outbox import Letter
from worker.services import open_ledger
from worker.sinks.opening import open_sinks
from worker.sinks.pump import open_pumps


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


def test_a_receiver_that_wants_none_of_a_listing_any_more_still_gets_the_others(way: Tell) -> None:
    async def story(way: Way) -> None:
        await way.put("one", 0, answer=410)
        await way.put("two", 0, 1)
        async with way.pumping():

            async def settled() -> bool:
                return await way.ledger.outbox.waiting("hook") == 1

            await way.until("the end of all others", settled)
        assert by_listing(way.other.got()) == {"two": ["two-0", "two-1"]}
        view = await way.view()
        assert (view.failing, view.times_down, view.dead) == (1, 0, 0)

    way("https", story)


@pytest.mark.parametrize("answer", [429, 503])
def test_a_receiver_that_wants_to_be_left_alone_is(way: Tell, answer: int) -> None:
    async def story(way: Way) -> None:
        await way.put("one", 0, answer=answer, headers={"Retry-After": "90"})
        async with way.pumping():

            async def paused() -> bool:
                return (await way.view()).paused_ms > 0

            await way.until("the pause", paused)
            await way.put("two", 0)
        assert way.other.got() == []
        view = await way.view()
        assert view.paused_ms > 80_000
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


def test_a_sink_that_hangs_holds_up_no_other(way: Tell) -> None:
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
