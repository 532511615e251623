"""The commands about money, as an operator runs them: usage, what enqueueing would cost, what is purged."""

from __future__ import annotations

import json
from pathlib import Path

from tests.money.conftest import DAY_MS, Desk, Tell, webhook
from worker.core.events import LISTING_COMPLETED
from worker.core.photo import Stage


def records(desk: Desk, *listings: tuple[str, int, str]) -> str:
    """Write records as a user would; return the file."""
    path = desk.folder / "records.jsonl"
    lines = []
    for name, count, style in listings:
        made = desk.listing(name, count, style=style)
        photos = [
            {"photo_id": photo.photo_id, "source": photo.request.source, "mode": "refurnish", "style_preset": style}
            for photo in made.photos
        ]
        lines.append(json.dumps({"listing_id": name, "partner": "acme", "photos": photos}))
    path.write_text("\n".join(lines))
    return str(path)


def test_usage_shows_what_the_api_says_and_what_was_bought(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        await desk.enqueue("house", 2)
        await desk.until({Stage.DONE: 2})
        text = await desk.stagecrew("usage")
        for part in ("may use the API", "yes", "included", "100", "remaining", "98", "jobs succeeded", "120/60s"):
            assert part in text
        found = await desk.asked("usage", "--json")
        assert (found["enabled"], found["remaining"], found["usage"]["consumed"]) == (True, "98", "2")
        assert found["answer"]["jobs"]["succeeded"] == 2
        await desk.faults(entitlement_ended=True)
        assert "NO: the API says" in await desk.stagecrew("usage", code=1)
        await desk.faults(entitlement_ended=False, key_revoked=True)
        assert "401" in await desk.stagecrew("usage", code=1)

    tell(story, sandbox={"included": 100})


def test_without_a_key_the_commands_say_what_is_missing(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        del desk.environ["KATALO_API_KEY"]
        for command in (["usage"], ["reconcile"]):
            assert "set KATALO_API_KEY" in await desk.stagecrew(*command, code=2)

    tell(story)


def test_a_dry_run_says_how_many_are_new_changed_or_staged_and_what_they_would_cost(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        await desk.push(DAY_MS)
        new = records(desk, ("house", 3, "modern"), ("flat", 2, "modern"))
        said = await desk.stagecrew("enqueue", "--dry-run", new)
        assert "5 jobs would be bought; the price is unknown" in said
        assert (await desk.services.ledger.snapshot()).stages == {}, "nothing was enqueued"
        await desk.stagecrew("enqueue", records(desk, ("house", 3, "modern")))
        new = records(desk, ("house", 3, "modern"), ("flat", 2, "modern"))
        found = await desk.asked("enqueue", "--dry-run", "--json", new)
        assert (found["photos"]["on_its_way"], found["photos"]["new"]) == (3, 2)
        await desk.until({Stage.DONE: 3})
        mixed = records(desk, ("house", 3, "rustic"), ("flat", 2, "modern"))
        said = await desk.stagecrew("enqueue", "--dry-run", mixed)
        assert "3  changed" in said
        assert "5 jobs would be bought, at 0.50 USD each about 2.50 USD" in said
        await desk.services.account.redis.flushall()
        await desk.services.ledger.unused_api()
        new = records(desk, ("house", 3, "modern"), ("flat", 2, "modern"))
        found = await desk.asked("enqueue", "--dry-run", "--json", new)
        assert (found["photos"]["staged"], found["photos"]["new"]) == (3, 2), "the store remembers"
        assert found["cost_usd"] == "1.00"
        assert (await desk.services.ledger.snapshot()).stages == {}

    tell(story)


def test_a_photo_that_was_withdrawn_is_as_good_as_new(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        file = records(desk, ("house", 2, "modern"))
        await desk.stagecrew("enqueue", file)
        await desk.stagecrew("cancel", "house/photo-0")
        found = await desk.asked("enqueue", "--dry-run", "--json", file)
        assert (found["photos"]["new"], found["photos"]["on_its_way"], found["jobs"]) == (1, 1, 1)

    tell(story)


def test_a_price_in_the_settings_needs_no_bill(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        found = await desk.asked("enqueue", "--dry-run", "--json", records(desk, ("house", 3, "modern")))
        assert (found["jobs"], found["price_usd"], found["cost_usd"]) == (3, {"default": "0.35"}, "1.05")

    tell(story, STAGECREW_JOB_PRICE_USD="0.35")


def test_purge_forgets_only_what_has_ended_and_only_when_told_to(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        await desk.enqueue("old", 3)
        await desk.until({Stage.DONE: 3})
        await desk.push(10 * DAY_MS)
        await desk.enqueue("open", 2)
        redis = desk.services.account.redis
        before = set(await redis.keys("*"))
        # The command goes by Redis's own clock, which no test pushes.
        said = await desk.stagecrew("purge", "--ended-before", "0d")
        assert "2 photos open or held, left alone" in said
        assert "nothing was changed; --yes does it" in said
        assert set(await redis.keys("*")) == before
        purge = desk.services.account.purge
        found = await purge.all_rows(ended_before_ms=desk.clock_ms - DAY_MS, really=True)
        assert (found.rows, found.open, found.later) == (3, 2, 0)
        assert await desk.services.ledger.listing("old") == []
        assert len(await desk.services.ledger.listing("open")) == 2
        assert (await desk.services.ledger.snapshot()).stages == {Stage.ACCEPTED: 2}
        assert not [key for key in await redis.keys("*") if ":l:" in key and key not in before]
        # What is staged is known by its manifest all the same.
        await desk.enqueue("old", 3)
        await desk.until({Stage.DONE: 5})
        assert (await desk.books())["jobs_created"] == 5

    tell(story)


def test_webhooks_of_unknown_jobs_are_forgotten_by_age(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        await desk.services.account.inbox.take(webhook("gen_nobody", "src_nobody"))
        assert "say how old" in await desk.stagecrew("purge", "--listing", "a", "--inbox", code=2)
        assert "1 webhook of unknown jobs would be forgotten" in await desk.stagecrew(
            "purge", "--ended-before", "0d", "--inbox"
        )
        assert len(await desk.services.account.inbox.kept()) == 1
        assert "1 webhook of unknown jobs forgotten" in await desk.stagecrew(
            "purge", "--ended-before", "0d", "--inbox", "--yes"
        )
        assert await desk.services.account.inbox.kept() == []

    tell(story)


def test_dead_letters_are_forgotten_by_age(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        redis = desk.services.account.redis
        await redis.hset("sc1:{default}:sinks", "put:a", 3)  # type: ignore[misc]
        for number in range(3):
            await redis.xadd("sc1:{default}:dead:a", {"event": "{}"}, id=f"{DAY_MS * (number + 1)}-1")
        assert "say how old" in await desk.stagecrew("purge", "--listing", "a", "--dead-letters", code=2)
        purge = desk.services.account.purge
        assert await purge.dead_letters(before_ms=2 * DAY_MS, really=True) == 1
        said = await desk.stagecrew("purge", "--ended-before", "1d", "--dead-letters")
        assert "2 dead letters would be forgotten" in said
        assert "2 dead letters forgotten" in await desk.stagecrew(
            "purge", "--ended-before", "1d", "--dead-letters", "--yes"
        )
        assert await redis.xlen("sc1:{default}:dead:a") == 0

    tell(story)


def test_a_partner_that_nobody_knows_is_no_partner_without_bills(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        await desk.enqueue("house", 1, partner="acme")
        assert "there are: acme" in await desk.stagecrew("reconcile", "--partner", "acne", code=2)
        assert "everything adds up" in await desk.stagecrew("reconcile", "--partner", "acme")

    tell(story)


def test_an_open_listing_still_tells_of_photos_that_were_purged_when_it_is_completed(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        await desk.enqueue("house", 2)
        await desk.stagecrew("pause", "house/photo-1")
        await desk.until({Stage.DONE: 1, Stage.PARKED: 1})
        found = await desk.services.account.purge.all_rows(ended_before_ms=desk.clock_ms, really=True)
        assert (found.rows, found.open) == (1, 1)
        await desk.stagecrew("resume", "house/photo-1")
        await desk.until({Stage.DONE: 1})
        [completed] = await desk.events(LISTING_COMPLETED)
        assert completed["data"]["staged"] == 2
        assert [photo["photo_id"] for photo in completed["data"]["photos"]] == ["photo-0", "photo-1"]

    tell(story)


def test_a_listings_outputs_are_deleted_only_with_its_rows_and_never_while_it_is_open(tell: Tell) -> None:
    async def story(desk: Desk) -> None:
        await desk.enqueue("house", 2)
        await desk.enqueue("flat", 1)
        assert "open or held" in await desk.stagecrew("purge", "--listing", "house", "--outputs", "--yes", code=2)
        await desk.until({Stage.DONE: 3})
        output = desk.folder / "output"
        assert "8 objects of the store would be deleted" in await desk.stagecrew(
            "purge", "--listing", "house", "--outputs"
        )
        assert len(_files(output)) == 12
        assert "would be bought again" in await desk.stagecrew("purge", "--listing", "house", "--outputs")
        await desk.push(1000)
        said = await desk.stagecrew("purge", "--listing", "house", "--outputs", "--yes")
        assert "8 objects of the store deleted" in said
        assert {path.relative_to(output).parts[0] for path in _files(output)} == {"flat"}
        assert "say one of" in await desk.stagecrew("purge", code=2)
        assert "say which with --listing" in await desk.stagecrew("purge", "--ended-before", "1d", "--outputs", code=2)

    tell(story)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
