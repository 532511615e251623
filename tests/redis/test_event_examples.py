"""The messages that users see in `docs/events.md` are those that a real ledger sends, and their schemas are current."""

from __future__ import annotations

import base64
import json
import re
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from jsonschema import ValidationError, validate
from standardwebhooks.webhooks import Webhook

from tests.redis.conftest import Account, Tell
from tests.schemas import hold
from worker.core.events import photo_cancelled, photo_failed, photo_staged, reconciliation_completed
from worker.core.identity import generation_key
from worker.core.photo import NewListing, NewPhoto, Stage
from worker.core.reconcile import Bought, Fate, Line, Report, reconcile
from worker.core.request import canonical_request
from worker.core.step import Ending
from worker.pipeline.upkeep import summary
from worker.sinks.document import FOLDER, render
from worker.sinks.https import signature
from worker.sinks.schemas import EVENTS, schema_of

DOCUMENT = FOLDER.parent / "events.md"
OUTPUT = {
    "role": "primary",
    "name": "elm-street-12/living-room/{}/primary.jpg",
    "media_type": "image/jpeg",
    "sha256": "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9",
    "size_bytes": 482133,
    "width": 2048,
    "height": 1365,
}


def the_events(tell: Tell) -> list[dict[str, Any]]:
    """Return what a listing and its account send: of its photos one is staged, one fails and one is cancelled."""
    events: list[dict[str, Any]] = []

    async def story(account: Account) -> None:
        await account.begin()
        asked = canonical_request(source="photos/living-room.jpg", mode="refurnish", style_preset="modern")
        photos = [
            NewPhoto(photo_id=name, request=replace(asked, source=f"photos/{name}.jpg"), metadata={})
            for name in ("living-room", "kitchen", "attic")
        ]
        metadata = {"crm": "8812"}
        await account.ledger.enqueue(
            [
                NewListing(
                    listing_id="elm-street-12",
                    partner="acme-realty",
                    priority=5,
                    photos=tuple(photos),
                    metadata=metadata,
                )
            ]
        )
        for sent in await account.dispatch():
            photo = await account.take(sent)
            folder = f"elm-street-12/{photo.photo_id}/{photo.fingerprint}"
            account.push(1_500)
            if photo.photo_id == "living-room":
                known = replace(
                    photo,
                    job_id="job_01JXSRJOB",
                    source_asset_id="src_01JXSRCABCDEFGHIJKL012345",
                    idempotency_key=generation_key("default", photo.listing_id, photo.photo_id, photo.fingerprint),
                )
                outputs = [OUTPUT | {"name": f"{folder}/primary.jpg"}]
                event = photo_staged(known, outputs, f"{folder}/manifest.json")
                await account.settle(photo, Stage.DONE, event=event)
            elif photo.photo_id == "attic":
                await account.settle(photo, Stage.CANCELLED, event=photo_cancelled(photo, paid=False))
            else:
                event = photo_failed(photo, "source_unusable", "photos/kitchen.jpg: it is HTML, not a picture")
                await account.settle(photo, Stage.FAILED, Ending.FAIL, event=event)
        await account.parking.park("the API refuses the key (401); set KATALO_API_KEY to one that is valid")
        for _ in range(2):
            account.push(60_000)
            await account.parking.probed(good=True)
        report = reconciled("elm-street-12", until_ms=account.clock_ms)
        news = reconciliation_completed("default", account.clock_ms, summary(report, until_ms=account.clock_ms))
        await account.ledger.announce(news)
        events.extend(json.loads(event) for event in await account.events())

    tell(story)
    return events


def reconciled(listing: str, *, until_ms: int) -> Report:
    """Return the report on one bill, for the photo that is staged."""
    created_ms = until_ms - 3_600_000
    line = Line(
        event_id="evt_1",
        job_id="job_01JXSRJOB",
        source_asset_id="src_01JXSRCABCDEFGHIJKL012345",
        created_ms=created_ms,
        billable=True,
        amount_usd=Decimal("0.50"),
    )
    job = Bought(
        job_id="job_01JXSRJOB",
        listing_id=listing,
        photo_id="living-room",
        partner="acme-realty",
        fingerprint="e74ec4be2ad2492d3cf2a3a68ac207f7",
        revision=1,
        source_asset_id="src_01JXSRCABCDEFGHIJKL012345",
        since_ms=created_ms,
        fate=Fate.STAGED,
    )
    span = {"since_ms": until_ms - 86_400_000, "until_ms": until_ms, "now_ms": until_ms, "lateness_ms": 0}
    return reconcile([line], {job.job_id: job}, **span)


def test_each_message_of_the_document_is_a_real_one(tell: Tell) -> None:
    text = DOCUMENT.read_text("utf-8")
    shown = re.findall(r"^## `(\S+)`\n.*?```json\n(.*?)```", text, re.DOTALL | re.MULTILINE)
    real = {event["type"]: event for event in the_events(tell)}
    assert [kind for kind, _ in shown] == list(EVENTS), "every message has its place"
    for kind, example in shown:
        assert json.loads(example or "null") == real[kind], f"it should be\n{json.dumps(real[kind], indent=2)}"


def test_real_messages_are_as_their_schemas_say(tell: Tell) -> None:
    found = the_events(tell)
    assert {event["type"] for event in found} == set(EVENTS)
    for event in found:
        hold(event)


@pytest.mark.parametrize("change", [{"id": "x"}, {"time": "yesterday"}, {"data": {}}, {"type": "stagecrew.other.v1"}])
def test_a_schema_refuses_what_is_not_the_message(tell: Tell, change: dict[str, Any]) -> None:
    staged = next(event for event in the_events(tell) if event["type"] == "stagecrew.photo.staged.v1")
    with pytest.raises(ValidationError):
        validate(staged | change, schema_of(staged["type"]))


def test_a_reader_may_not_stumble_over_a_field_that_is_new(tell: Tell) -> None:
    for event in the_events(tell):
        validate(event | {"new": 1, "data": event["data"] | {"new": 1}}, schema_of(event["type"]))


def test_a_message_with_a_field_that_no_schema_names_fails_every_test_that_sees_it(tell: Tell) -> None:
    [first, *_] = the_events(tell)
    with pytest.raises(AssertionError, match="new"):
        hold(first | {"data": first["data"] | {"new": 1}})


def test_the_schemas_are_current() -> None:
    """`make docs` writes them."""
    assert {file.name: file.read_text("utf-8") for file in FOLDER.iterdir()} == render()


def test_the_document_verifies_signatures_as_it_should() -> None:
    [code] = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, str(DOCUMENT), "exec"), names)
    verify = names["is_from_stagecrew"]
    key, plain, body = b"0123456789abcdef0123456789abcdef", "any text at all", '{"id":"e"}'
    secret = f"whsec_{base64.b64encode(key).decode()}"
    now = str(int(time.time()))
    both = " ".join(signature(one, "e", now, body) for one in (key, plain.encode()))
    headers = {"webhook-id": "e", "webhook-timestamp": now, "webhook-signature": both}
    assert Webhook(secret).verify(body, headers) == {"id": "e"}, "so does the standard's own library"
    assert verify(body.encode(), headers, secret)
    assert verify(body.encode(), headers, plain)
    assert not verify(body.encode() + b" ", headers, secret)
    assert not verify(body.encode(), headers, "another")
    assert not verify(body.encode(), headers | {"webhook-timestamp": str(int(now) - 301)}, secret)


def test_the_document_names_every_schema() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert all(f"events/{Path(name).name}" in text for name in render())
