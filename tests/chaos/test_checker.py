"""Each invariant of the chaos suite can fail: books in which all is well, doctored in one place."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, replace
from typing import Any

import pytest
from PIL import Image

from chaos.checker import INVARIANTS, Evidence, check
from chaos.orders import Order

Doctor = Callable[[Evidence], Evidence]

GOOD, BAD = hashlib.sha256(b"good").hexdigest(), hashlib.sha256(b"bad").hexdigest()


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 6), (9, 9, 9)).save(out, "JPEG")
    return out.getvalue()


def event(kind: str, photo: str, **data: Any) -> dict[str, Any]:
    whole = {"listing_id": "l", "photo_id": photo, "job_id": None, **data}
    return {"id": f"{kind}-{photo}", "type": f"stagecrew.photo.{kind}.v1", "subject": f"l/{photo}", "data": whole}


def completed(listing: str) -> dict[str, Any]:
    kind = "stagecrew.listing.completed.v1"
    return {"id": f"completed-{listing}", "type": kind, "subject": listing, "data": {"listing_id": listing}}


def books_in_order() -> Evidence:
    """One photo that was staged, one whose source was no picture."""
    image = picture()
    output = {"name": "l/1/f/primary.jpg", "size_bytes": len(image), "sha256": hashlib.sha256(image).hexdigest()}
    manifest = {
        "job_id": "gen_1",
        "source_sha256": GOOD,
        "request": {"style_preset": "modern"},
        "outputs": [output],
    }
    job = {"job_id": "gen_1", "sha256": GOOD, "settings": {"style_preset": "modern"}, "fails": False}
    stream = [
        ("1-0", event("staged", "1", job_id="gen_1", manifest="l/1/f/manifest.json")),
        ("2-0", event("failed", "2")),
        ("3-0", completed("l")),
    ]
    return Evidence(
        orders=[
            Order(listing_id="l", photo_id="1", style="modern", sha256=GOOD, usable=True),
            Order(listing_id="l", photo_id="2", style="modern", sha256=BAD, usable=False),
        ],
        books={"jobs": [job], "refused": {"generations": 0}, "peak_in_flight": 50, "conflicts": 0},
        in_flight=50,
        bill=[{"job_id": "gen_1", "amount_usd": "0.50"}],
        price="0.50",
        stream=stream,
        received={entry["id"]: [json.dumps(entry).encode()] * 2 for _, entry in stream},
        objects={"l/1/f/primary.jpg": image, "l/1/f/manifest.json": json.dumps(manifest).encode()},
        rows=[
            {"listing_id": "l", "photo_id": "1", "stage": "done"},
            {"listing_id": "l", "photo_id": "2", "stage": "failed"},
        ],
        left={"slots": 0, "backlog:source:0:acme": 0},
        surprises={},
        forgot=False,
    )


def change(**changes: Any) -> Doctor:
    return lambda evidence: replace(evidence, **changes)


def change_books(**changes: Any) -> Doctor:
    return lambda evidence: replace(evidence, books={**evidence.books, **changes})


def change_job(**changes: Any) -> Doctor:
    return lambda evidence: change_books(jobs=[{**evidence.books["jobs"][0], **changes}])(evidence)


def another_job(**changes: Any) -> Doctor:
    return lambda evidence: change_books(
        jobs=[*evidence.books["jobs"], {**evidence.books["jobs"][0], "job_id": "gen_2", **changes}]
    )(evidence)


def change_manifest(**changes: Any) -> Doctor:
    def doctor(evidence: Evidence) -> Evidence:
        name = "l/1/f/manifest.json"
        manifest = json.loads(evidence.objects[name]) | changes
        return replace(evidence, objects={**evidence.objects, name: json.dumps(manifest).encode()})

    return doctor


def change_object(name: str, data: bytes | None) -> Doctor:
    def doctor(evidence: Evidence) -> Evidence:
        objects = {**evidence.objects, name: data}
        return replace(evidence, objects={key: found for key, found in objects.items() if found is not None})

    return doctor


def without_event(number: int) -> Doctor:
    return lambda evidence: replace(evidence, stream=[one for at, one in enumerate(evidence.stream) if at != number])


def doubled_event(evidence: Evidence) -> Evidence:
    return replace(evidence, stream=[*evidence.stream, ("4-0", deepcopy(evidence.stream[0][1]))])


def a_failure_of_a_good_photo(evidence: Evidence) -> Evidence:
    return replace(evidence, stream=[("1-0", event("failed", "1")), *evidence.stream[1:]])


def of_two_copies_one_is_other(evidence: Evidence) -> Evidence:
    return replace(evidence, received={**evidence.received, "staged-1": [b"{}", b'{"a": 1}']})


CASES: list[tuple[str, Doctor]] = [
    ("every order ended or waits visibly", without_event(0)),
    ("every order ended or waits visibly", a_failure_of_a_good_photo),
    ("every order ended or waits visibly", change_job(fails=True)),
    ("every row is at rest", change(rows=[{"listing_id": "l", "photo_id": "1", "stage": "storing"}])),
    ("one job an order", another_job()),
    ("one job an order", another_job(sha256=BAD)),
    ("one job an order", another_job(sha256="of nobody")),
    ("one job an order", change_books(jobs=[])),
    ("the bill is right to the cent", change(bill=[{"job_id": "gen_1", "amount_usd": "0.51"}])),
    ("the bill is right to the cent", change(bill=[])),
    ("the bill is right to the cent", change(bill=[{"job_id": "gen_1", "amount_usd": "0.25"}] * 2)),
    ("every listing is told complete", without_event(2)),
    ("the stream has each completion once", doubled_event),
    ("the sink has each completion", change(received={})),
    ("the sink has each completion", of_two_copies_one_is_other),
    ("nothing is announced without its outputs", change_object("l/1/f/manifest.json", None)),
    ("nothing is announced without its outputs", change_object("l/1/f/manifest.json", b"{half")),
    ("nothing is announced without its outputs", change_object("l/1/f/primary.jpg", None)),
    ("nothing is announced without its outputs", change_object("l/1/f/primary.jpg", picture()[:-9])),
    ("nothing is announced without its outputs", change_manifest(outputs=[])),
    ("nothing is announced without its outputs", change_manifest(job_id="gen_9")),
    ("nothing is announced without its outputs", change_manifest(source_sha256=BAD)),
    ("slots and leases are returned", change(left={"slots": 1})),
    ("slots and leases are returned", change(left={"leases": 1})),
    ("slots and leases are returned", change(left={"unadmitted:create_generation": 1})),
    ("the backlog is empty", change(left={"backlog:source:0:acme": 1})),
    ("the backlog is empty", change(left={"due:poll_generation": 1})),
    ("the backlog is empty", change(left={"outbox:hook": 1})),
    ("the backlog is empty", change(left={"celery:stagecrew": 1})),
    ("budgets were kept", change_books(refused={"generations": 1})),
    ("budgets were kept", change_books(peak_in_flight=51)),
    ("no key was used for something else", change_books(conflicts=1)),
    ("nothing surprised a worker", change(surprises={"a loop ended": 1})),
]


def test_books_in_order_contradict_nothing() -> None:
    assert not any(check(books_in_order()).values())


@pytest.mark.parametrize(("invariant", "doctor"), CASES, ids=[f"{name}-{at}" for at, (name, _) in enumerate(CASES)])
def test_a_doctored_book_is_found_out(invariant: str, doctor: Doctor) -> None:
    assert check(doctor(books_in_order()))[invariant], asdict(doctor(books_in_order()))


def test_every_invariant_has_a_case_in_which_it_fails() -> None:
    assert {name for name, _ in CASES} == {one.__name__.replace("_", " ") for one in INVARIANTS}


def test_a_photo_that_is_held_waits_visibly_and_needs_no_job() -> None:
    held = {"listing_id": "l", "photo_id": "1", "stage": "uncertain"}
    books = change_books(jobs=[])(without_event(0)(books_in_order()))
    broken = check(replace(books, bill=[], rows=[held, books.rows[1]]))
    assert not any(broken.values())


def test_a_message_may_come_with_another_time_after_redis_forgot_it() -> None:
    assert not any(check(replace(of_two_copies_one_is_other(books_in_order()), forgot=True)).values())
