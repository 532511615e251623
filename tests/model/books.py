"""Holds Redis against the model: every place, counter, lifetime and message must be what the cards say."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from redis import Redis

from tests.lifetimes import undocumented
from tests.model.card import TURNS, Card
from tests.model.model import Model
from worker import keys
from worker.core.identity import listing_key, photo_key
from worker.core.photo import ENDED, STEP_OF, Stage, StepName

ROOT = keys.root("default")
Found = dict[str, Any]


class Books:
    """Reads all of an account's keys, with their values and lifetimes."""

    def __init__(self, url: str) -> None:
        self.redis = Redis.from_url(url, decode_responses=True, protocol=2)
        #: A key's type never changes.
        self._types: dict[str, str] = {}

    def read(self) -> tuple[Found, dict[str, int]]:
        """Return the values below the account's root, and the lifetimes of all keys in ms."""
        names = [name for name in self.redis.keys("*") if name.startswith(ROOT)]
        fresh = [name for name in names if name not in self._types]
        self._types |= dict(zip(fresh, self._all([("type", name) for name in fresh]), strict=True))
        calls = [("pttl", name) for name in names]
        calls += [(_READ[self._types[name]][0], name, *_READ[self._types[name]][1:]) for name in names]
        answers = self._all(calls)
        values = zip(names, answers[len(names) :], strict=True)
        found = {name.removeprefix(ROOT): _plain(value) for name, value in values}
        return found, dict(zip(names, answers, strict=False))

    def _all(self, calls: list[tuple[Any, ...]]) -> list[Any]:
        with self.redis.pipeline(transaction=False) as pipe:
            for call in calls:
                more = {"withscores": True} if call[0] == "zrange" else {}
                getattr(pipe, call[0])(*call[1:], **more)
            return pipe.execute()


def hold(model: Model, found: Found, lifetimes: dict[str, int]) -> None:
    """Check all of it."""
    cards = model.cards.values()
    by_key = {photo_key(card.listing, card.photo): card for card in cards}
    rows = {name[2:]: value for name, value in found.items() if name.startswith("p:")}
    assert rows.keys() == by_key.keys(), "a photo is lost, or came from nowhere"
    for key, row in rows.items():
        _row(by_key[key], row, lifetimes[f"{ROOT}p:{key}"])

    for step in StepName:
        mine = {key: card for key, card in by_key.items() if STEP_OF.get(card.stage) is step}
        due = {key: card.due_ms for key, card in mine.items() if card.due_ms is not None}
        assert found.get(f"due:{step}", {}) == due
        out = {key for key, card in mine.items() if card.ungranted}
        assert set(found.get(f"unadmitted:{step}", {})) == out, f"photos whose grant for {step} is still to be taken"
    assert found.get("leases", {}) == {key: card.lease_ms for key, card in by_key.items() if card.token}
    assert set(found.get("slots", {})) == {key for key, card in by_key.items() if card.slot}
    remaking = _keys(by_key, lambda card: card.stage is Stage.INGESTED and bool(card.parent))
    assert set(found.get("remaking", {})) == remaking
    for stage in (Stage.FAILED, Stage.PARKED, Stage.UNCERTAIN):
        held = set(found.get(f"held:{stage}", {}))
        there = _keys(by_key, lambda card, stage=stage: card.stage is stage)
        assert held <= there if stage is Stage.FAILED else held == there, stage
    _turns(by_key, found)

    assert _numbers(found, "stages") == Counter(card.stage.value for card in cards)
    assert _numbers(found, "partners") == Counter(_pair(card) for card in cards)
    jobs = {f"j:{card.job}": key for key, card in by_key.items() if card.named and card.job}
    jobs |= {f"r:{card.reference}": key for key, card in by_key.items() if card.named and card.reference}
    assert found.get("jobs", {}) == jobs
    spent = {
        (int(name.removeprefix("spend:")), who.removeprefix("partner:")): jobs
        for name in found
        if name.startswith("spend:")
        for who, jobs in _numbers(found, name).items()
        if who != "account"
    }
    assert spent == {what: count for what, count in model.bought.items() if count}
    for listing in {card.listing for card in cards}:
        mine = [card for card in cards if card.listing == listing]
        assert int(found[f"l:{listing_key(listing)}"]["open"]) == sum(card.stage not in ENDED for card in mine)
    states = {f"{ROOT}p:{key}": row["stage"] for key, row in rows.items()}
    assert undocumented(lifetimes, states) == []


def _row(card: Card, row: dict[str, str], lifetime: int) -> None:
    assert row["stage"] == card.stage, f"{card.name} is {row['stage']}, not {card.stage}"
    assert row["token"] == card.token
    assert (row["partner"], int(row["priority"])) == (card.partner, card.priority)
    assert row.get("job_id") == card.job
    assert row.get("cancel") == card.cancel
    assert ("pause" in row) == card.pause
    assert ("next_fingerprint" in row) == (card.next_style is not None)
    assert (int(row.get("regeneration", 0)), row.get("parent_job_id")) == (card.regeneration, card.parent)
    places = [bool(card.token), card.backlog, card.due_ms is not None, card.stage in ENDED, card.stage not in STEP_OF]
    assert sum(places[:3]) == (0 if places[4] else 1), f"{card.name} is in {places}"
    assert (lifetime > 0) == (card.stage in ENDED), f"the row of {card.name}, {card.stage}, lives {lifetime} ms"


def _turns(by_key: dict[str, Card], found: Found) -> None:
    """Every photo that waits for a turn stands in its partner's backlog, and that partner has a turn to come."""
    waiting: dict[str, set[str]] = {}
    for key, card in by_key.items():
        if card.backlog:
            waiting.setdefault(f"{TURNS[card.stage]}:{card.priority}:{card.partner}", set()).add(key)
    backlogs = {name[8:]: set(photos) for name, photos in found.items() if name.startswith("backlog:")}
    assert backlogs == waiting
    for name in waiting:
        kind, priority, partner = name.split(":")
        ring, resting = found.get(f"ring:{kind}:{priority}", {}), found.get(f"resting:{kind}", {})
        assert partner in ring or f"{priority}:{partner}" in resting, f"{name} waits and has no turn to come"


def _pair(card: Card) -> str:
    return json.dumps([card.partner, card.stage.value], separators=(",", ":"))


def _numbers(found: Found, name: str) -> dict[str, int]:
    return {field: int(value) for field, value in found.get(name, {}).items() if int(value)}


def _keys(by_key: dict[str, Card], fits: Any) -> set[str]:
    return {key for key, card in by_key.items() if fits(card)}


_READ: dict[str, tuple[Any, ...]] = {
    "hash": ("hgetall",),
    "string": ("get",),
    "zset": ("zrange", 0, -1),
    "list": ("lrange", 0, -1),
    "stream": ("xlen",),
}


def _plain(value: Any) -> Any:
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        return {member: int(score) for member, score in value}
    return value
