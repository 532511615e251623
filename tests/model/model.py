"""The ledger and flow control as one plain account in memory: what Redis must hold after whatever anybody did.

Everything that Redis keeps in sets and counters follows from the cards, so the model has none of those. Choices (whose
turn it is, how long to wait) are not modelled: the model says what is allowed, and what follows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from tests.model.calls import Calls
from tests.model.card import IN_FLIGHT, TURNS, UNPAID, Card
from worker.core.photo import ENDED, STEP_OF, Stage, StepName
from worker.core.step import Step

LEASE_MS: Final = 5_000
DAY_MS: Final = 86_400_000
PROBE_MS: Final = 10_000
EVENT_OF: Final = {Stage.DONE: "photo.staged", Stage.FAILED: "photo.failed", Stage.CANCELLED: "photo.cancelled"}


@dataclass
class Model:
    """The account. `cap`: jobs in flight; `calls`: of the API; `day_cap`: jobs that a partner may buy in a day."""

    cap: int
    calls: Calls
    day_cap: dict[str, int]
    now: int
    cards: dict[str, Card] = field(default_factory=dict)
    #: Somebody else uses the organisation too: the cap is lower for now, and since when it is that low.
    lowered: int | None = None
    lowered_ms: int = 0
    paused: set[str] = field(default_factory=set)
    paused_listings: set[str] = field(default_factory=set)
    bought: dict[tuple[int, str], int] = field(default_factory=dict)
    heard: set[tuple[str, str]] = field(default_factory=set)
    kept: dict[str, bool] = field(default_factory=dict)
    events: list[tuple[str, str]] = field(default_factory=list)

    # -- what people ask ------------------------------------------------------------------------------------------

    def enqueue(self, listing: str, photo: str, style: str, partner: str, priority: int) -> str:
        card = self.cards.get(f"{listing}/{photo}")
        if card is None:
            card = self.cards[f"{listing}/{photo}"] = Card(listing, photo, partner, priority, style)
            if listing in self.paused_listings:
                self._park(card)
            return "accepted"
        if card.style == style and card.stage is Stage.CANCELLED:
            if card.job:
                self._read_again(card)
            else:
                self._restart(card, style)
            return "accepted"
        if card.style == style:
            card.next_style, card.cancel = None, None
            return "held" if card.stage in {Stage.FAILED, Stage.PARKED, Stage.UNCERTAIN} else "same"
        if card.stage in ENDED or (card.stage in UNPAID and not card.token):
            self._restart(card, style)
            return "revised"
        card.next_style = style
        return "queued_revision"

    def cancel(self, card: Card, *, keep: bool) -> str:
        if card.stage in ENDED:
            return "ended"
        if card.stage is Stage.UNCERTAIN:
            return "uncertain"
        card.next_style = None
        if card.stage in UNPAID:
            card.lift()
            card.stage, card.parked_from, card.pause = Stage.CANCELLED, None, False
            self._ended(card, "photo.cancelled")
            return "withdrawn"
        storing = card.stage is Stage.STORING and card.token != "" and card.opened == card.token
        card.cancel = "keep" if keep or storing or card.stage is Stage.ANNOUNCING else "drop"
        return "kept" if card.cancel == "keep" else "dropped"

    def pause(self, card: Card) -> str:
        if card.stage in ENDED:
            return "ended"
        if card.stage is Stage.PARKED:
            return "already"
        if card.stage in UNPAID:
            self._park(card)
            return "parked"
        card.pause = True
        return "in_flight"

    def resume(self, card: Card) -> str:
        flagged, card.pause = card.pause, False
        if card.stage is not Stage.PARKED:
            return "resumed" if flagged else "not_paused"
        back, card.parked_from = card.parked_from, None
        assert back is not None
        card.wait(back, self.now if back is Stage.INGESTING else None)
        return "resumed"

    def regenerate(self, card: Card) -> str:
        if card.stage not in ENDED:
            return "on_its_way" if card.parent else "not_staged"
        parent = card.job if card.stage is Stage.DONE else card.parent
        if not parent:
            return "not_staged"
        self._remake(card, card.regeneration + 1, parent)
        return "asked"

    def replay(self, card: Card, *, uncertain: bool) -> bool:
        if card.stage is not Stage.FAILED and not (uncertain and card.stage is Stage.UNCERTAIN):
            return False
        if card.resume and not card.next_style:
            self._read_again(card)
            return True
        card.slot = False
        if card.parent and not card.next_style:
            self._remake(card, card.regeneration, card.parent)
        else:
            self._restart(card, card.next_style or card.style)
        return True

    def resolve(self, card: Card, job: str) -> bool:
        if card.stage is not Stage.UNCERTAIN:
            return card.job == job
        if any(other.named and other.job == job for other in self.cards.values() if other is not card):
            return False
        card.job, card.slot, card.named, card.spent = job, True, True, None
        card.wait(Stage.GENERATING, self.now)
        self._heard_before(card)
        return True

    # -- what the fleet does --------------------------------------------------------------------------------------

    def refused_for_jobs(self) -> None:
        """The API says that too many jobs are in flight: the cap is what we hold, less one, and grows from there."""
        self.lowered, self.lowered_ms = max(1, self.slots() - 1), self.now

    def look(self) -> None:
        """What the leader does before it chooses: leases that ran out come back, turns that ripened are queued."""
        if self.lowered is not None and self.now - self.lowered_ms >= PROBE_MS:
            self.lowered, self.lowered_ms = self.lowered + 1, self.now
        if self.lowered is not None and self.lowered >= self.cap:
            self.lowered = None
        for card in self.cards.values():
            if card.token and card.lease_ms <= self.now:
                card.wait(card.stage, self.now)
            if card.stage in TURNS and card.due_ms is not None and card.due_ms <= self.now:
                card.wait(card.stage)

    def lease(self, card: Card, step: StepName, token: str) -> None:
        assert STEP_OF[card.stage] is step
        if card.stage in TURNS:
            assert card.backlog, f"{card.name} has no turn"
            assert not self.people_hold(card), f"{card.name} is paused"
            assert not (step is StepName.CREATE_GENERATION and self.capped(card)), f"{card.name} is over a cap"
        else:
            assert card.due_ms is not None
            assert card.due_ms <= self.now, f"{card.name} is not due"
        card.lift()
        card.token, card.lease_ms, card.ungranted = token, self.now + LEASE_MS, True
        if step is StepName.CREATE_GENERATION:
            on_their_way = sum(
                c.ungranted and not c.slot and c.stage in {Stage.INGESTED, Stage.CREATING} for c in self.cards.values()
            )
            assert card.slot or self.slots() + on_their_way <= self.cap, "more creates are sent out than slots are free"

    def open(self, card: Card, token: str) -> bool:
        if card.token != token or card.opened == token:
            return False
        card.opened, card.lease_ms = token, self.now + LEASE_MS
        return True

    def renew(self, card: Card, token: str) -> bool:
        if card.token == token:
            card.lease_ms = self.now + LEASE_MS
        return card.token == token

    def why_not(self, card: Card, route: str, *, create: bool) -> str | None:
        """Say why a call may not be made now; None when it may."""
        if card.stage in TURNS and self.people_hold(card):
            return "paused by people"
        if create and card.stage is not Stage.CREATING and self.capped(card):
            return "capped"
        if create and not card.slot and self.slots() >= min(self.cap, self.lowered or self.cap):
            return "slots"
        return self.calls.why_not(route, self.now)

    def granted(self, card: Card, token: str, route: str, *, create: str | None = None) -> None:
        """One call may be sent within the guard. `create`: the key of a create, whose intent stands in the row now."""
        self.calls.granted(route, token, self.now)
        card.ungranted = False
        if create is None:
            return
        card.slot, card.named, card.reference = True, True, create
        if card.stage is not Stage.CREATING:
            card.stage, card.spent = Stage.CREATING, self.now // DAY_MS
            self._buy(card, card.spent, 1)

    def settle(self, card: Card, token: str, step: Step) -> bool:  # noqa: C901 - all that follows from a step, at a glance
        if card.settled == token:
            return True
        if card.token != token:
            return False
        self.calls.over(token, self.now)
        if card.cancel and step.if_cancelled and (step.stage is not Stage.FAILED or card.cancel == "drop"):
            step = step.if_cancelled
        was = card.stage
        if step.unspent and card.spent is not None:
            self._buy(card, card.spent, -1)
        card.settled = token
        card.learn(step)
        if was is not step.stage and (was in IN_FLIGHT or step.stage in IN_FLIGHT):
            card.named = step.stage in IN_FLIGHT
            if was is Stage.GENERATING and step.stage not in IN_FLIGHT and card.job:
                self.heard.add(("over", card.job))
        turn = step.stage is Stage.INGESTED and (step.requeue or was not in {Stage.INGESTED, Stage.CREATING})
        card.wait(step.stage, None if turn else self.now + step.delay_ms)
        card.parked_from = was if step.stage is Stage.PARKED else None
        if card.next_style and (step.stage in TURNS or step.stage in ENDED):
            if step.event:
                self.events.append((EVENT_OF[step.stage], card.name))
            self._restart(card, card.next_style)
        elif step.stage in ENDED:
            self._ended(card, EVENT_OF[step.stage])
        elif step.stage is Stage.GENERATING and was is not step.stage:
            self._heard_before(card)
        return True

    def hear(self, event: str, job: str, reference: str, *, outputs: bool) -> str:
        """Take a webhook in."""
        if job and (event, job) in self.heard:
            return "duplicate"
        if job:
            self.heard.add((event, job))
            if ("over", job) in self.heard:
                return "late"
        named = [card for card in self.cards.values() if card.named]
        found = next((card for card in named if job and card.job == job), None)
        found = found or next((card for card in named if reference and card.reference == reference), None)
        job = job or (found.job if found else None) or ""
        if not job:
            return "ignored"
        if found and found.job in {None, job}:
            return self._news(found, job, outputs=outputs)
        self.kept[job] = outputs and job not in self.kept
        return "kept"

    # -- what follows ---------------------------------------------------------------------------------------------

    def slots(self) -> int:
        return sum(card.slot for card in self.cards.values())

    def people_hold(self, card: Card) -> bool:
        return bool({"account", f"partner:{card.partner}"} & self.paused)

    def capped(self, card: Card) -> bool:
        return self.bought.get((self.now // DAY_MS, card.partner), 0) >= self.day_cap.get(card.partner, 10**9)

    def _buy(self, card: Card, day: int, by: int) -> None:
        self.bought[day, card.partner] = self.bought.get((day, card.partner), 0) + by

    def _park(self, card: Card) -> None:
        card.parked_from = card.stage
        card.wait(Stage.PARKED)
        card.pause = False

    def _ended(self, card: Card, event: str) -> None:
        card.cancel, card.pause = None, False
        self.events.append((event, card.name))
        if all(other.stage in ENDED for other in self.cards.values() if other.listing == card.listing):
            self.events.append(("listing.completed", card.listing))

    def _anew(self, card: Card, stage: Stage) -> None:
        pause = card.pause or card.listing in self.paused_listings or card.stage is Stage.PARKED
        card.forget()
        card.wait(stage)
        if pause:
            self._park(card)

    def _restart(self, card: Card, style: str) -> None:
        card.style = style
        self._anew(card, Stage.ACCEPTED)

    def _remake(self, card: Card, number: int, parent: str) -> None:
        self._anew(card, Stage.INGESTED)
        card.regeneration, card.parent = number, parent

    def _read_again(self, card: Card) -> None:
        card.resume, card.rereads, card.named = False, False, False
        card.wait(Stage.GENERATING, self.now)

    def _heard_before(self, card: Card) -> None:
        if card.job in self.kept:
            self._news(card, card.job, outputs=self.kept.pop(card.job))

    def _news(self, card: Card, job: str, *, outputs: bool) -> str:
        believed = outputs and not card.rereads
        card.job, card.spent = job, None
        card.slot, card.named = not believed, not believed
        card.wait(Stage.STORING if believed else Stage.GENERATING, self.now)
        if believed:
            self.heard.add(("over", job))
        return "applied" if believed else "read"
