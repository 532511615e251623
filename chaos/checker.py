"""Holds what a run left behind against what is promised: pure, by its own code, from the books of others.

Each invariant is a function from the evidence to what contradicts it; an empty answer means that it holds.
`tests/chaos/test_checker.py` shows of each that it can fail.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from PIL import Image

from chaos.orders import Order

STAGED: Final = "stagecrew.photo.staged.v1"
FAILED: Final = "stagecrew.photo.failed.v1"
ENDS: Final = frozenset({STAGED, FAILED})
COMPLETED: Final = "stagecrew.listing.completed.v1"
#: Stages in which a photo waits for a person, and `status` says so.
HELD: Final = frozenset({"parked", "uncertain"})
#: Stages that are an end.
ENDED: Final = frozenset({"done", "failed", "cancelled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is read when all has come to rest."""

    orders: Sequence[Order]
    #: The sandbox's own books: jobs, refusals, the peak in flight.
    books: Mapping[str, Any]
    in_flight: int
    #: The lines of the billing ledger, and what one job costs.
    bill: Sequence[Mapping[str, Any]]
    price: str
    #: The completion stream: entry ids and events, in order.
    stream: Sequence[tuple[str, Mapping[str, Any]]]
    #: What the https sink's other side took: by message id, each copy.
    received: Mapping[str, Sequence[bytes]]
    #: The store's objects by name.
    objects: Mapping[str, bytes] = field(repr=False)
    #: The photos' rows in Redis.
    rows: Sequence[Mapping[str, str]]
    #: How much is left in each of the ledger's keys that should be empty at rest, and in the fleet's queues.
    left: Mapping[str, int]
    #: What the workers logged that nobody foresaw, each with how often.
    surprises: Mapping[str, int]
    #: Whether acknowledged writes of Redis were lost on the way.
    forgot: bool


Invariant = Callable[[Evidence], list[str]]


def every_order_ended_or_waits_visibly(evidence: Evidence) -> list[str]:
    """Every order has its end on the stream, the right one; or its photo is held where `status` shows it."""
    ends: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for _, event in evidence.stream:
        if event["type"] in ENDS:
            ends[_picture_of(event, evidence)].add(event["type"])
    held = {(row["listing_id"], row["photo_id"]) for row in evidence.rows if row["stage"] in HELD}
    fails = {(job["sha256"], job["settings"]["style_preset"]) for job in evidence.books["jobs"] if job["fails"]}
    found = []
    for order in evidence.orders:
        ended = ends.get((*order.photo, order.style), set())
        expected = {FAILED} if not order.usable or (order.sha256, order.style) in fails else {STAGED}
        if ended != expected and not (not ended and order.photo in held):
            said = ", ".join(sorted(ended)) or "nothing"
            found.append(f"{'/'.join(order.photo)} in {order.style}: {said} on the stream, not {min(expected)}")
    return found


def every_row_is_at_rest(evidence: Evidence) -> list[str]:
    """No photo's row stands in a stage that somebody should be working on."""
    return [
        f"{row['listing_id']}/{row['photo_id']} is {row['stage']}"
        for row in evidence.rows
        if row["stage"] not in ENDED | HELD
    ]


def one_job_an_order(evidence: Evidence) -> list[str]:
    """Each order that can be staged has exactly one job at the API; others have none, and there is no other job."""
    made = Counter((job["sha256"], job["settings"]["style_preset"]) for job in evidence.books["jobs"])
    asked = {(order.sha256, order.style): int(order.usable) for order in evidence.orders}
    named = {(order.sha256, order.style): "/".join(order.photo) for order in evidence.orders}
    held = {(row["listing_id"], row["photo_id"]) for row in evidence.rows if row["stage"] in HELD}
    waits = {(order.sha256, order.style) for order in evidence.orders if order.photo in held}
    return [
        f"{named.get(which, 'nobody')} in {which[1]}: {made[which]} jobs, not {asked.get(which, 0)}"
        for which in sorted(made.keys() | asked.keys())
        if made[which] != asked.get(which, 0) and not (which in waits and made[which] == 0)
    ]


def the_bill_is_right_to_the_cent(evidence: Evidence) -> list[str]:
    """Billed is one price for each order that the API staged, and no line more."""
    fails = {(job["sha256"], job["settings"]["style_preset"]) for job in evidence.books["jobs"] if job["fails"]}
    made = {(job["sha256"], job["settings"]["style_preset"]) for job in evidence.books["jobs"]}
    due = [o for o in evidence.orders if o.usable and (o.sha256, o.style) in made - fails]
    expected = Decimal(evidence.price) * len(due)
    billed = sum((Decimal(str(line["amount_usd"])) for line in evidence.bill), Decimal(0))
    found = [] if billed == expected else [f"${billed} are billed for {len(due)} orders, not ${expected}"]
    lines = Counter(line["job_id"] for line in evidence.bill)
    return found + [f"{job} is billed {count} times" for job, count in lines.items() if count > 1]


def every_listing_is_told_complete(evidence: Evidence) -> list[str]:
    """Each listing of which nothing is held has been announced as completed."""
    told = {event["data"]["listing_id"] for _, event in evidence.stream if event["type"] == COMPLETED}
    held = {row["listing_id"] for row in evidence.rows if row["stage"] in HELD}
    return [f"{listing} is not told complete" for listing in _listings(evidence) if listing not in told | held]


def the_stream_has_each_completion_once(evidence: Evidence) -> list[str]:
    """No completion message is twice on the stream."""
    ids = Counter(event["id"] for _, event in evidence.stream)
    return [f"{message} is on the stream {count} times" for message, count in ids.items() if count > 1]


def the_sink_has_each_completion(evidence: Evidence) -> list[str]:
    """Each message on the stream came to the other sink too, at least once, always as the same message."""
    found = [
        f"{event['id']} of {event['subject']} did not come to the sink"
        for _, event in evidence.stream
        if event["id"] not in evidence.received
    ]
    # A photo that is ordered anew after Redis forgot it is told of anew: the same id, another time.
    if not evidence.forgot:
        found += [
            f"{name} came as different messages" for name, all_ in evidence.received.items() if len(set(all_)) > 1
        ]
    return found


def nothing_is_announced_without_its_outputs(evidence: Evidence) -> list[str]:
    """Each staged photo has its manifest in the store, and every output in it is there whole, a picture, of its job."""
    jobs = {job["job_id"]: job for job in evidence.books["jobs"]}
    found = []
    for _, event in evidence.stream:
        if event["type"] != STAGED:
            continue
        data = event["data"]
        manifest = _manifest(data["manifest"], evidence)
        if manifest is None or manifest["job_id"] != data["job_id"] or data["job_id"] not in jobs:
            found.append(f"{event['subject']}: no manifest of job {data['job_id']}")
            continue
        job = jobs[data["job_id"]]
        # A photo that went on from its receipt was not read again: its manifest names no source.
        source = manifest["source_sha256"] or job["sha256"]
        if (source, manifest["request"]["style_preset"]) != (job["sha256"], job["settings"]["style_preset"]):
            found.append(f"{event['subject']}: its job is of another picture")
        if not manifest["outputs"]:
            found.append(f"{event['subject']}: no output")
        found += [
            f"{event['subject']}: {trouble}"
            for output in manifest["outputs"]
            if (trouble := _trouble(output, evidence.objects.get(output["name"])))
        ]
    return found


def slots_and_leases_are_returned(evidence: Evidence) -> list[str]:
    """Nobody holds a slot or a lease any more."""
    return _left(evidence, ("slots", "leases", "unadmitted:"))


def the_backlog_is_empty(evidence: Evidence) -> list[str]:
    """Nothing waits: no photo for a budget or a time, no message for its sink, no task in the fleet's queues."""
    return _left(evidence, ("backlog:", "due:", "ring:", "remaking", "outbox:", "queue:", "turn:", "dead:", "celery:"))


def budgets_were_kept(evidence: Evidence) -> list[str]:
    """No call had to be refused by the API for its limits, and no more jobs were in flight than it allows."""
    refused = {route: count for route, count in evidence.books["refused"].items() if count}
    found = [f"{count} calls of {route} were over the limit" for route, count in refused.items()]
    if evidence.books["peak_in_flight"] > evidence.in_flight:
        found.append(f"{evidence.books['peak_in_flight']} jobs in flight, of {evidence.in_flight}")
    return found


def no_key_was_used_for_something_else(evidence: Evidence) -> list[str]:
    """No Idempotency-Key came to the API again with other bytes."""
    count = evidence.books["conflicts"]
    return [f"{count} keys were used again with another payload"] if count else []


def nothing_surprised_a_worker(evidence: Evidence) -> list[str]:
    """No worker met what nobody had foreseen: every trouble was handled as what it is."""
    return [f"{count} times: {what}" for what, count in evidence.surprises.items()]


INVARIANTS: Final[Sequence[Invariant]] = (
    every_order_ended_or_waits_visibly,
    every_row_is_at_rest,
    one_job_an_order,
    the_bill_is_right_to_the_cent,
    every_listing_is_told_complete,
    the_stream_has_each_completion_once,
    the_sink_has_each_completion,
    nothing_is_announced_without_its_outputs,
    slots_and_leases_are_returned,
    the_backlog_is_empty,
    budgets_were_kept,
    no_key_was_used_for_something_else,
    nothing_surprised_a_worker,
)


def check(evidence: Evidence) -> dict[str, list[str]]:
    """Return what contradicts each invariant, by its name in words."""
    return {invariant.__name__.replace("_", " "): invariant(evidence) for invariant in INVARIANTS}


def _listings(evidence: Evidence) -> list[str]:
    return list(dict.fromkeys(order.listing_id for order in evidence.orders))


def _picture_of(event: Mapping[str, Any], evidence: Evidence) -> tuple[str, str, str]:
    """Return whose picture an event is about, and in which style: the manifest or the job says it."""
    data = event["data"]
    photo = (data["listing_id"], data["photo_id"])
    if event["type"] == STAGED and (manifest := _manifest(data["manifest"], evidence)) is not None:
        return (*photo, manifest["request"]["style_preset"])
    jobs = [job for job in evidence.books["jobs"] if job["job_id"] == data["job_id"]]
    # One that failed without a job is the photo's only order, or the one whose picture nobody announced.
    told = {
        found["request"]["style_preset"]
        for _, other in evidence.stream
        if other["type"] == STAGED
        and (other["data"]["listing_id"], other["data"]["photo_id"]) == photo
        and (found := _manifest(other["data"]["manifest"], evidence)) is not None
    }
    asked = [order.style for order in evidence.orders if order.photo == photo and order.style not in told]
    styles = [job["settings"]["style_preset"] for job in jobs] or asked
    return (*photo, styles[0] if styles else "")


def _manifest(name: str, evidence: Evidence) -> dict[str, Any] | None:
    data = evidence.objects.get(name)
    try:
        found: dict[str, Any] | None = None if data is None else json.loads(data)
    except ValueError:
        return None
    return found


def _trouble(output: Mapping[str, Any], data: bytes | None) -> str | None:
    if data is None:
        return f"{output['name']} is not there"
    if (len(data), hashlib.sha256(data).hexdigest()) != (output["size_bytes"], output["sha256"]):
        return f"{output['name']} is not what the manifest says"
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
    except (OSError, SyntaxError) as error:
        return f"{output['name']} is no whole picture: {error}"
    return None


def _left(evidence: Evidence, names: tuple[str, ...]) -> list[str]:
    return [f"{count} in {key}" for key, count in sorted(evidence.left.items()) if count and key.startswith(names)]
