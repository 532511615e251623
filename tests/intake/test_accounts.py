"""Several accounts: a record goes to the one that it names or that its partner belongs to, and is found there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.settings import load_settings
from tests.intake.conftest import TOKEN, Served, record, serving
from worker.storage.names import photo_folder


@pytest.fixture
def two(redis_url: str, tmp_path: Path) -> Iterator[Served]:
    """A gateway of two accounts, of which none is `default`."""
    accounts = {"north": {"api_key": "n", "partners": {"acme": 1}}, "south": {"api_key": "s"}}
    file = tmp_path / "accounts.json"
    file.write_text(json.dumps({"accounts": accounts}))
    file.chmod(0o600)
    settings = load_settings(
        {
            "STAGECREW_REDIS_URL": redis_url,
            "STAGECREW_STORAGE_URL": (tmp_path / "output").as_uri(),
            "STAGECREW_ACCOUNTS_FILE": str(file),
            "STAGECREW_INTAKE_TOKENS": TOKEN,
        }
    )
    with serving(settings) as served:
        yield served


def test_a_record_goes_to_the_account_that_it_names_or_that_its_partner_belongs_to(two: Served) -> None:
    answer = two.post([record("a", partner="acme"), record("b", account="south"), record("c", partner="other")])
    assert answer.status_code == 207
    [bad] = answer.json()["bad_records"]
    assert (bad["listing_id"], bad["field"], bad["where"]) == ("c", "account", "the body record 3")
    found = {
        (account, listing): two.client.get(f"/v1/photos/{listing}/front", params={"account": account}).status_code
        for account in ("north", "south")
        for listing in ("a", "b")
    }
    assert found == {("north", "a"): 200, ("south", "b"): 200, ("north", "b"): 404, ("south", "a"): 404}
    assert two.client.get("/v1/listings/a", params={"account": "north"}).json()["account"] == "north"


def test_a_question_that_names_no_account_is_told_which_there_are(two: Served) -> None:
    answer = two.client.get("/v1/listings/a")
    assert (answer.status_code, answer.json()["remedy"]) == (404, "the accounts here are north, south")


def test_each_accounts_outputs_are_looked_for_in_its_own_store(two: Served) -> None:
    two.post(record("a", partner="acme"))
    two.put("north", "a", "front", stage="done")
    found = two.client.get("/v1/photos/a/front", params={"account": "north"}).json()
    assert "output/@north" in found["outputs_unread"]
    assert found["manifest"] == f"{photo_folder('a', 'front', found['fingerprint'])}/manifest.json"
