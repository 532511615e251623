"""Where a photo and a listing are: any id, every stage on the way, the outputs from the manifest."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.intake.conftest import Served, record
from worker.core.photo import Photo, Stage
from worker.core.step import Ending, Step
from worker.services import Account
from worker.storage.images import JPEG
from worker.storage.manifest import write_outputs
from worker.storage.outputs import FetchedImage
from worker.storage.store import open_store

#: Ids as people have them, and as nobody should.
IDS = [
    ("listing-1", "front"),
    ("a/b", "c"),
    ("a", "b/c"),
    ("a%2Fb", "%"),
    ("x y+z", "ü 客厅 🛋"),
    ("?a=b&c", "#1;v=2"),
    ("regenerate", "cancel"),
    ("{}", "<script>"),
]


@pytest.mark.parametrize(("listing_id", "photo_id"), IDS)
def test_any_id_is_found_by_path_and_by_query(served: Served, listing_id: str, photo_id: str) -> None:
    served.post([record(found, photo) for found, photo in IDS])
    by_path = served.client.get(f"/v1/photos/{quote(listing_id, safe='')}/{quote(photo_id, safe='')}")
    by_query = served.client.get("/v1/photos", params={"listing_id": listing_id, "photo_id": photo_id})
    assert by_path.json() == by_query.json()
    assert (by_path.json()["listing_id"], by_path.json()["photo_id"]) == (listing_id, photo_id)
    listing = served.client.get(f"/v1/listings/{quote(listing_id, safe='')}").json()
    assert listing == served.client.get("/v1/listings", params={"listing_id": listing_id}).json()
    assert [photo["photo_id"] for photo in listing["photos"]] == [photo_id]


@pytest.mark.parametrize("name", [".", ".."])
def test_an_id_that_no_path_can_carry_is_found_by_query(served: Served, name: str) -> None:
    served.post(record(name, name))
    found = served.client.get("/v1/photos", params={"listing_id": name, "photo_id": name})
    assert found.json()["photo_id"] == name


def test_a_photo_that_waits_says_what_was_asked_for_without_secrets(served: Served) -> None:
    sent = record("a", "1", partner="acme", priority=7, metadata={"agent": "J. Doe"})
    sent["photos"][0] |= {"source": "https://me:pw@photos.example.com/1.jpg?X-Amz-Signature=s", "metadata": {"n": 3}}
    served.post(sent)
    answer = served.client.get("/v1/photos/a/1")
    found = answer.json()
    assert found["request"]["source"] == "https://photos.example.com/1.jpg"
    assert "Signature" not in answer.text
    assert "pw" not in answer.text
    assert (found["partner"], found["priority"], found["metadata"]) == ("acme", 7, {"agent": "J. Doe", "n": "3"})
    assert (found["stage"], found["revision"], found["job_id"], found["error"]) == ("accepted", 1, None, None)
    assert found["history"] == [{"stage": "accepted", "at": found["accepted_at"]}]
    assert (found["manifest"], found["outputs"], found["outputs_unread"]) == (None, None, None)
    datetime.strptime(found["since"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


async def _staged(account: Account, way: list[Stage]) -> Photo:
    """Take the only photo through `way`, each step by the lease that the dispatcher gives."""
    await account.ledger.unused_api()
    await account.admission.heartbeat("w", hands=10, busy=0, version="1")
    for stage in way:
        orders = await account.dispatching.dispatch("w")
        [sent] = orders.photos  # type: ignore[union-attr]
        [opened] = (await account.ledger.open(sent.step, [(sent.key, sent.token)])).opened
        fields = {"job_id": "gen_1"} if stage is Stage.GENERATING else {}
        error = {"error_code": "quality_rejected", "error_message": "too dark"} if stage is Stage.FAILED else {}
        settled = await account.ledger.settle(opened.photo, Step(ending=Ending.GO, stage=stage, fields=fields, **error))
        assert settled
    return opened.photo


WAY = [
    Stage.INGESTING,
    Stage.INGESTED,
    Stage.CREATING,
    Stage.GENERATING,
    Stage.STORING,
    Stage.ANNOUNCING,
    Stage.DONE,
]


def _manifest(served: Served, photo: Photo) -> Any:
    return write_outputs(
        open_store(served.settings.storage_url),
        account=photo.account,
        listing_id=photo.listing_id,
        photo_id=photo.photo_id,
        partner=photo.partner,
        fingerprint=photo.fingerprint,
        revision=1,
        request={"source": photo.request.source},
        source_sha256=None,
        reference="generation-a-1-x",
        job_id="gen_1",
        source_asset_id=None,
        images=[("primary", FetchedImage(data=b"jpg", kind=JPEG, sha256="0" * 64, width=4, height=3))],
        created_at="2026-01-01T00:00:00Z",
        staged_at="2026-01-01T00:01:00Z",
        metadata={},
    )


def test_a_staged_photo_says_the_way_it_came_and_names_its_outputs(served: Served) -> None:
    served.post(record("a", "1"))

    async def story(account: Account) -> None:
        photo = await _staged(account, WAY)
        await _manifest(served, photo)

    served.ask(story)
    found = served.client.get("/v1/photos/a/1").json()
    assert [step["stage"] for step in found["history"]] == ["accepted", *(stage.value for stage in WAY)]
    times = [step["at"] for step in found["history"]]
    assert times[0] == found["accepted_at"]
    assert times[-1] == found["since"]
    assert [output["role"] for output in found["outputs"]] == ["primary"]
    assert (found["job_id"], found["reference"]) == ("gen_1", "generation-a-1-x")
    folder = Path(urlsplit(served.settings.storage_url).path)
    assert (folder / found["outputs"][0]["name"]).read_bytes() == b"jpg"
    assert (folder / found["manifest"]).exists()

    (folder / found["manifest"]).write_text("{")
    assert "damaged" in served.client.get("/v1/photos/a/1").json()["outputs_unread"]
    shutil.rmtree(folder)
    again = served.client.get("/v1/photos/a/1").json()
    assert (again["stage"], again["outputs"]) == ("done", None)
    assert found["manifest"] in again["outputs_unread"]


def test_a_history_takes_no_more_room_than_a_row_has(served: Served) -> None:
    """A longer value would turn the row into a form that takes three times the memory."""
    served.post(record("a", "1"))

    async def row(account: Account) -> Any:
        redis: Any = account.redis
        [key] = [key async for key in redis.scan_iter(f"{account.scripts.root}p:*")]
        return await redis.hgetall(key)

    assert "history" not in served.ask(row)
    served.ask(lambda account: _staged(account, [Stage.INGESTING, Stage.ACCEPTED] * 40))
    history = served.ask(row)["history"]
    assert 50 < len(history) <= 64
    assert re.fullmatch(r"([ai]\d+)+", history)
    found = served.client.get("/v1/photos/a/1").json()
    assert found["history"][-1] == {"stage": "accepted", "at": found["since"]}


def test_a_failed_photo_says_why(served: Served) -> None:
    served.post(record("a", "1"))
    served.ask(lambda account: _staged(account, [Stage.INGESTING, Stage.FAILED]))
    error = {"code": "quality_rejected", "message": "too dark"}
    assert served.client.get("/v1/photos/a/1").json()["error"] == error
    [photo] = served.client.get("/v1/listings/a").json()["photos"]
    assert (photo["stage"], photo["error"]) == ("failed", error)


def test_a_listing_is_told_in_pages(served: Served) -> None:
    names = [f"{at:03}" for at in range(25)]
    served.post(record("a", *names, partner="acme", metadata={"agent": "J. Doe"}))
    told, after = [], ""
    while after is not None:
        page = served.client.get("/v1/listings/a", params={"limit": 10, "after": after}).json()
        assert (page["open"], page["stages"], page["partner"]) == (25, {"accepted": 25}, "acme")
        assert page["metadata"] == {"agent": "J. Doe"}
        told += [photo["photo_id"] for photo in page["photos"]]
        after = page["next"]
    assert told == names


def test_a_photo_whose_row_is_forgotten_is_told_by_its_listing_as_it_ended(served: Served) -> None:
    served.post(record("a", "1"))

    async def story(account: Account) -> None:
        photo = await _staged(account, WAY)
        redis: Any = account.redis
        await redis.delete(f"{account.scripts.root}p:{photo.key}", f"{account.scripts.root}o:{photo.key}")

    served.ask(story)
    assert served.client.get("/v1/photos/a/1").status_code == 404
    listing = served.client.get("/v1/listings/a").json()
    assert (listing["stages"], listing["open"]) == ({"done": 1}, 0)
    assert listing["photos"] == [
        {"photo_id": "1", "stage": "done"} | dict.fromkeys(["since", "revision", "fingerprint", "job_id", "error"])
    ]


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/v1/photos/a/none", 404, "photo 'none'"),
        ("/v1/listings/none", 404, "listing 'none'"),
        ("/v1/listings/a?account=west", 404, "account 'west'"),
        ("/v1/photos?listing_id=a", 400, "photo_id is missing"),
        ("/v1/photos?listing_id=a&photo_id=1&photo_id=2", 400, "more than once"),
        ("/v1/listings/a?limit=0", 400, "limit"),
        ("/v1/listings/a?limit=many", 400, "limit"),
        ("/v1/listings/a?accounts=x", 400, "accounts"),
        ("/v1/listings/%FF", 400, "listing_id"),
        (f"/v1/listings/{'x' * 1001}", 400, "listing_id"),
    ],
)
def test_a_question_that_has_no_answer_is_told_why(served: Served, path: str, status: int, said: str) -> None:
    served.post(record("a", "1"))
    answer = served.client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert said in answer.json()["detail"]
    assert answer.json()["remedy"]


def test_a_method_that_is_not_there_says_which_are(served: Served) -> None:
    answer = served.client.put("/v1/listings")
    assert (answer.status_code, set(answer.headers["allow"].split(", "))) == (405, {"GET", "POST"})


def test_a_question_needs_a_token(served: Served) -> None:
    for path in ("/v1/listings/a", "/v1/photos/a/1"):
        assert served.client.get(path, headers={"Authorization": "Bearer wrong-wrong-wrong-1"}).status_code == 401
