"""What is asked of photos over HTTP reaches the account's control, and its verdict is the answer."""

from __future__ import annotations

import pytest

from config.settings import Settings
from tests.intake.conftest import Served, record, serving


@pytest.mark.parametrize(
    ("verdict", "status"), [("asked", 202), ("on_its_way", 200), ("there", 200), ("not_staged", 409)]
)
def test_regenerate_asks_for_one_more_picture(served: Served, verdict: str, status: int) -> None:
    served.control.verdicts["a/b", "1"] = verdict
    by_path = served.client.post("/v1/photos/a%2Fb/1/regenerate")
    by_query = served.client.post("/v1/regenerate", params={"listing_id": "a/b", "photo_id": "1"})
    assert by_path.json() == by_query.json()
    assert (by_path.status_code, by_query.status_code) == (status, status)
    assert (by_path.json()["verdict"], by_path.json()["number"]) == (verdict, 1)
    assert served.control.asked == [("regenerate", (("a/b", "1"),), None)] * 2


def test_a_number_says_which_picture_is_meant(served: Served) -> None:
    served.control.verdicts["a", "1"] = "there"
    assert served.client.post("/v1/photos/a/1/regenerate?number=3").json()["number"] == 3
    assert served.control.asked == [("regenerate", (("a", "1"),), 3)]


@pytest.mark.parametrize("verdict", ["withdrawn", "kept", "dropped", "uncertain", "ended"])
def test_cancel_says_what_became_of_the_photo(served: Served, verdict: str) -> None:
    served.control.verdicts["a", "x/1"] = verdict
    by_path = served.client.post("/v1/photos/a/x%2F1/cancel?keep=false")
    by_query = served.client.post("/v1/cancel", params={"listing_id": "a", "photo_id": "x/1", "keep": "false"})
    assert by_path.json() == by_query.json()
    assert by_path.json()["photos"] == [{"photo_id": "x/1", "verdict": verdict, "stage": "accepted"}]
    assert served.control.asked == [("cancel", (("a", "x/1"),), False)] * 2


def test_a_listing_is_cancelled_with_all_its_photos(served: Served) -> None:
    served.post(record("a", "2", "1"))
    served.control.verdicts |= {("a", "1"): "withdrawn", ("a", "2"): "kept"}
    by_path = served.client.post("/v1/listings/a/cancel")
    by_query = served.client.post("/v1/cancel", params={"listing_id": "a"})
    assert by_path.json() == by_query.json()
    assert [photo["verdict"] for photo in by_path.json()["photos"]] == ["withdrawn", "kept"]
    assert served.control.asked == [("cancel", (("a", "1"), ("a", "2")), True)] * 2


def test_what_nobody_knows_is_not_found(served: Served) -> None:
    assert served.client.post("/v1/photos/a/1/cancel").status_code == 404
    assert served.client.post("/v1/photos/a/1/regenerate").status_code == 404
    assert served.client.post("/v1/listings/a/cancel").status_code == 404
    assert served.client.post("/v1/cancel?listing_id=a&account=west").status_code == 404


def test_nothing_is_asked_without_a_token(served: Served) -> None:
    served.control.verdicts["a", "1"] = "withdrawn"
    for path in ("/v1/photos/a/1/cancel", "/v1/photos/a/1/regenerate", "/v1/cancel?listing_id=a&photo_id=1"):
        assert served.client.post(path, headers={"Authorization": ""}).status_code == 401
    assert served.control.asked == []


def test_the_ledger_itself_withdraws_a_photo_and_takes_it_back(gateway_settings: Settings) -> None:
    with serving(gateway_settings, real=True) as served:
        served.post(record("a/b", "1", "2"))
        answer = served.client.post("/v1/photos/a%2Fb/1/cancel")
        assert answer.json()["photos"] == [{"photo_id": "1", "verdict": "withdrawn", "stage": "cancelled"}]
        assert served.client.get("/v1/photos/a%2Fb/1").json()["stage"] == "cancelled"
        listing = served.client.post("/v1/listings/a%2Fb/cancel").json()
        assert [photo["verdict"] for photo in listing["photos"]] == ["ended", "withdrawn"]
        assert served.post(record("a/b", "1")).json()["photos"]["accepted"] == 1
        assert served.client.post("/v1/photos/a%2Fb/none/cancel").status_code == 404


def test_the_ledger_itself_asks_for_one_more_picture_once(gateway_settings: Settings) -> None:
    with serving(gateway_settings, real=True) as served:
        served.post(record("a", "1"))
        waiting = served.client.post("/v1/photos/a/1/regenerate")
        assert (waiting.status_code, waiting.json()["verdict"]) == (409, "not_staged")
        served.put("default", "a", "1", stage="done", job_id="gen_1")
        asked = [served.client.post("/v1/photos/a/1/regenerate?number=1") for _ in range(2)]
        assert [(answer.status_code, answer.json()["verdict"]) for answer in asked] == [
            (202, "asked"),
            (200, "on_its_way"),
        ]
        found = served.client.get("/v1/photos/a/1").json()
        assert (found["stage"], found["regeneration"], found["earlier_jobs"]) == ("ingested", 1, ["gen_1"])
        assert [step["stage"] for step in found["history"]] == ["accepted", "ingested"]
        assert served.client.post("/v1/photos/a/none/regenerate").status_code == 404
