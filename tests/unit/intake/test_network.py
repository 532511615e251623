"""Records that come in over the network: which files they may name, and what a message may hold."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from worker.core.photo import NewListing, Stage
from worker.intake.addresses import BadSource, canonical_source
from worker.intake.message import read_message
from worker.intake.outcome import BadRecord, ParsedListing, Result
from worker.intake.reception import CHUNK, Desk, Reception
from worker.ledger.snapshot import Enqueued, Verdict

RECORD = {"listing_id": "a", "photos": [{"photo_id": "1", "source": "https://x.example/1.jpg", "mode": "clean"}]}


@pytest.mark.parametrize(
    ("source", "canonical"),
    [
        ("/mnt/photos/a b.jpg", "file:///mnt/photos/a%20b.jpg"),
        ("file:///mnt/photos/1.jpg", "file:///mnt/photos/1.jpg"),
        ("1/../2.jpg", "file:///mnt/photos/2.jpg"),
        ("https://x.example/1.jpg", "https://x.example/1.jpg"),
    ],
)
def test_a_file_below_the_folder_may_be_named(source: str, canonical: str) -> None:
    folder = Path("/mnt/photos")
    assert canonical_source(source, base=folder, local_files=folder) == canonical


@pytest.mark.parametrize(
    "source",
    [
        "/etc/passwd",
        "/mnt/photos/../secrets/1.jpg",
        "file:///mnt/photos/%2e%2e/1.jpg",
        "../1.jpg",
        "/mnt/photos2/1.jpg",
    ],
)
def test_a_file_outside_of_the_folder_may_not(source: str) -> None:
    folder = Path("/mnt/photos")
    with pytest.raises(BadSource, match="below /mnt/photos only"):
        canonical_source(source, base=folder, local_files=folder)


def read(listings: Any, files_below: Path | None = None) -> list[Result]:
    return read_message(listings, name="message 7", files_below=files_below)


def test_a_message_holds_records_or_one() -> None:
    for listings in ([RECORD], RECORD):
        [found] = read(listings)
        assert isinstance(found, ParsedListing)
        assert found.listing.listing_id == "a"


@pytest.mark.parametrize("listings", [None, "text", 7, True, {}, [None], [[]], ["text"], [{}], {"listings": [RECORD]}])
def test_whatever_else_a_message_holds_is_a_bad_record(listings: Any) -> None:
    found = read(listings)
    assert found
    assert all(isinstance(bad, BadRecord) and bad.where.startswith("message 7") for bad in found)


def test_a_message_names_no_file_unless_a_folder_is_allowed(tmp_path: Path) -> None:
    sent = {"listing_id": "a", "photos": [{"photo_id": "1", "source": "1.jpg", "mode": "clean"}]}
    [refused] = read([sent])
    assert isinstance(refused, BadRecord)
    assert refused.field == "source"
    [taken] = read([sent], files_below=tmp_path)
    assert isinstance(taken, ParsedListing)
    assert taken.listing.photos[0].request.source == (tmp_path / "1.jpg").as_uri()


class FakeDesk:
    """A ledger and its counters that remember."""

    def __init__(self) -> None:
        self.chunks: list[int] = []
        self.counted: dict[str, int] = {}

    async def enqueue(self, listings: Iterable[NewListing]) -> list[Enqueued]:
        """Accept everything."""
        some = list(listings)
        self.chunks.append(len(some))
        return [
            Enqueued(
                listing_id=listing.listing_id, photo_id=photo.photo_id, verdict=Verdict.ACCEPTED, stage=Stage.ACCEPTED
            )
            for listing in some
            for photo in listing.photos
        ]

    async def add(self, door: str, counts: Mapping[str, int]) -> None:
        """Remember."""
        self.counted |= {f"{door}:{name}": count for name, count in counts.items()}


def test_listings_go_on_in_chunks_each_to_its_own_account() -> None:
    east, west = FakeDesk(), FakeDesk()
    records = [RECORD | {"listing_id": str(at), "account": "west" if at % 10 == 0 else "east"} for at in range(250)]
    desks = {"east": Desk(ledger=east, counters=east), "west": Desk(ledger=west, counters=west)}

    async def story() -> None:
        reception = Reception(desks, door="celery", route=lambda result: result)
        await reception.take(read(records))
        await reception.take(read([{}]))
        tally = await reception.close()
        assert tally.line() == "250 photos of 250 listings: 250 accepted, 1 bad"

    asyncio.run(story())
    assert (east.chunks, west.chunks) == ([CHUNK, 25], [25])
    assert east.counted == {
        "celery:accepted": 250,
        "celery:listings": 250,
        "celery:bad_records": 1,
        "celery:hand_overs": 1,
    }
    assert west.counted == {}


def test_a_route_may_say_whose_a_listing_is_or_that_it_is_nobodys() -> None:
    desk = FakeDesk()

    def route(result: Result) -> Result:
        return BadRecord(where="there", field="account", problem="it is nobody's", remedy="name one")

    async def story() -> None:
        reception = Reception({"default": Desk(ledger=desk, counters=desk)}, door="http", route=route)
        await reception.take(read([RECORD]))
        assert (reception.tally.bad, reception.tally.listings) == (1, 0)

    asyncio.run(story())
    assert desk.chunks == []
