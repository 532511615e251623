"""The news of pictures and cancellations: which picture it is of, and ids that are stable and distinct."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from worker.core.events import photo_cancelled, photo_failed, photo_staged
from worker.core.photo import Photo, Stage
from worker.core.request import Request

PHOTO = Photo(
    key="key",
    account="default",
    listing_id="listing",
    photo_id="photo",
    partner="acme",
    metadata={"agent": "Ada"},
    request=Request(source="/a.jpg"),
    fingerprint="f",
    revision=1,
    stage=Stage.ANNOUNCING,
    token="1",
    now_ms=2_000,
    accepted_ms=1_000,
    job_id="gen_0",
)
AGAIN = replace(PHOTO, revision=2, regeneration=1, parent_job_id="gen_0", job_id="gen_1")


def news(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


def test_news_of_a_picture_says_which_one_it_is_and_what_it_was_made_from() -> None:
    first, again = news(photo_staged(PHOTO, [], "m"))["data"], news(photo_staged(AGAIN, [], "m"))["data"]
    assert (first["regeneration"], first["parent_job_id"], first["job_id"]) == (0, None, "gen_0")
    assert (again["regeneration"], again["parent_job_id"], again["job_id"]) == (1, "gen_0", "gen_1")
    assert again["revision"] == 2


@pytest.mark.parametrize("make", [lambda p: photo_staged(p, [], "m"), lambda p: photo_failed(p, "c", "m")])
def test_each_picture_has_an_id_of_its_own_which_a_repetition_keeps(make: Any) -> None:
    numbered = [replace(AGAIN, regeneration=number) for number in range(12)]
    assert len({news(make(photo))["id"] for photo in numbered}) == 12
    later = replace(AGAIN, now_ms=9_000, revision=7)
    assert news(make(later))["id"] == news(make(AGAIN))["id"]


def test_the_ids_of_first_pictures_are_what_they_were_before_there_were_others() -> None:
    """A consumer that has seen a photo must not take it for news after an upgrade."""
    assert news(photo_staged(PHOTO, [], "m"))["id"] == "e2c5e8d7d7b232a0b6b2018ca83e2a2c"


def test_a_cancellation_has_an_id_for_each_order_and_says_whether_it_was_paid() -> None:
    first, paid = news(photo_cancelled(PHOTO, paid=False)), news(photo_cancelled(PHOTO, paid=True))
    assert first["type"] == "stagecrew.photo.cancelled.v1"
    assert (first["data"]["paid"], paid["data"]["paid"]) == (False, True)
    assert first["id"] == paid["id"]
    assert news(photo_cancelled(replace(PHOTO, accepted_ms=1_001), paid=False))["id"] != first["id"]
    assert first["data"]["metadata"] == {"agent": "Ada"}
