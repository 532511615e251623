"""Drives the ledger and flow control on a real Redis and the model side by side, in whatever order hypothesis likes."""

from __future__ import annotations

import itertools
import json
import sys
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from redis.asyncio import Redis

from tests.model import books
from tests.model.calls import Calls
from tests.model.card import Card
from tests.model.driver import Driver, Work
from tests.model.model import DAY_MS, Model
from tests.redis.conftest import FORGETS_MS, STREAM, Account
from worker.core.identity import photo_key
from worker.core.photo import ENDED, Stage, StepName
from worker.core.routes import Route
from worker.flow.admission import Granted
from worker.flow.caps import Cap, Caps
from worker.katalo.notice import COMPLETED
from worker.ledger.control import Control
from worker.ledger.pausing import Pauses
from worker.ledger.uncertain import UncertainPhotos

T = TypeVar("T")
#: So little of everything that photos meet.
LISTINGS, STYLES, PARTNERS = ("a", "b"), ("modern", "coastal"), ("x", "y")
LIMIT, DAY_CAP = 3, {"y": 2}
#: So many open photos make a crowd for each other.
ENOUGH = 4
FAILED_JOB = "generation.failed"
#: What may happen in the middle of a round.
BETWEEN = (
    "a lower cap",
    "too many jobs",
    "a message again",
    "a 429",
    "a webhook",
    "another order",
    "another picture",
    "cancel",
    "pause",
)
ANY = st.integers(0, 1_000)
INTERRUPTIONS = st.lists(st.sampled_from(BETWEEN), min_size=1, max_size=3)
MOMENTS = st.sampled_from([1_000, 1, 300, 5_001, 9_000, 11_000])


class LedgerMachine(Driver, RuleBasedStateMachine):
    """One account. Every rule does one thing to both, and after each of them Redis holds what the model says."""

    def __init__(self, redis_url: str) -> None:
        RuleBasedStateMachine.__init__(self)
        Driver.__init__(self)
        self.redis = Redis.from_url(redis_url, decode_responses=True, protocol=2)
        self.run(self.redis.flushall())
        self.books = books.Books(redis_url)
        self.numbers = itertools.count()

    def teardown(self) -> None:
        """In the end nothing is lost: with everybody's wishes lifted the fleet takes every photo to an end."""
        try:
            if sys.exc_info()[0] is None:
                self.drain()
        finally:
            self.run(self.redis.aclose())
            self.runner.close()
            self.books.redis.close()

    @initialize(slots=st.integers(1, 3), count=st.integers(1, 3), partner=st.sampled_from(PARTNERS))
    def begin(self, slots: int, count: int, partner: str) -> None:
        caps = Caps(partners={partner: Cap(per_day=count) for partner, count in DAY_CAP.items()})
        self.account = Account(self.redis, limit=LIMIT, in_flight=slots, caps=caps)
        self.model = Model(cap=slots, calls=Calls(LIMIT), day_cap=DAY_CAP, now=self.account.clock_ms)
        self.control, self.pauses = Control(self.account.ledger), Pauses(self.account.ledger)
        self.uncertain = UncertainPhotos(self.account.ledger.scripts)
        self.run(self.account.begin())
        self.enqueue(LISTINGS[0], count, STYLES[0], partner, 0)

    # -- people ---------------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.open()) < ENOUGH)
    @rule(listing=st.sampled_from(LISTINGS), count=st.integers(1, 3), style=st.sampled_from(STYLES),
          partner=st.sampled_from(PARTNERS), priority=st.sampled_from([0, 9]))  # fmt: skip
    def enqueue(self, listing: str, count: int, style: str, partner: str, priority: int) -> None:
        more = {"partner": partner, "priority": priority}
        answers = self.run(self.account.enqueue(listing, count, style=style, **more))
        for number, answer in enumerate(answers):
            verdict = self.model.enqueue(listing, f"photo-{number}", style, **more)
            card = self.model.cards[f"{listing}/photo-{number}"]
            assert (answer.verdict, answer.stage) == (verdict, card.stage)

    @precondition(lambda self: self.open())
    @rule(nth=ANY, keep=st.booleans())
    def cancel(self, nth: int, keep: bool) -> None:
        card = self.pick(self.open(), nth)
        [answer] = self.run(self.control.cancel([(card.listing, card.photo)], keep=keep))
        assert (answer.verdict, answer.stage) == (self.model.cancel(card, keep=keep), card.stage)

    @precondition(lambda self: self.open())
    @rule(nth=ANY)
    def pause(self, nth: int) -> None:
        """Pause a photo, its listing, its partner or the account."""
        card = self.pick(self.open(), nth // 4)
        if nth % 4 == 0:
            [answer] = self.run(self.pauses.pause([(card.listing, card.photo)]))
            assert (answer.verdict, answer.stage) == (self.model.pause(card), card.stage)
        elif nth % 4 == 1:
            self.run(self.pauses.pause_listing(card.listing))
            self.model.paused_listings.add(card.listing)
            for other in self.of_listing(card.listing):
                self.model.pause(other)
        elif nth % 4 == 2:
            self.run(self.pauses.pause_partner(card.partner))
            self.model.paused.add(f"partner:{card.partner}")
        else:
            self.run(self.pauses.pause_account())
            self.model.paused.add("account")

    @precondition(lambda self: self.model.paused or self.model.paused_listings)
    @rule(nth=ANY)
    def resume(self, nth: int) -> None:
        what = self.pick(sorted(self.model.paused | self.model.paused_listings), nth)
        self.model.paused.discard(what)
        if what in self.model.paused_listings:
            self.model.paused_listings.discard(what)
            self.run(self.pauses.resume_listing(what))
            for card in self.of_listing(what):
                self.model.resume(card)
        elif what == "account":
            self.run(self.pauses.resume_account())
        else:
            self.run(self.pauses.resume_partner(what.removeprefix("partner:")))

    @precondition(lambda self: any(card.pause or card.parked_from for card in self.model.cards.values()))
    @rule(nth=ANY)
    def resume_photo(self, nth: int) -> None:
        card = self.pick([card for card in self.model.cards.values() if card.pause or card.parked_from], nth)
        [answer] = self.run(self.pauses.resume([(card.listing, card.photo)]))
        assert (answer.verdict, answer.stage) == (self.model.resume(card), card.stage)

    @precondition(lambda self: self.pictured())
    @rule(nth=ANY)
    def regenerate(self, nth: int) -> None:
        card = self.pick(self.pictured(), nth)
        [answer] = self.run(self.control.regenerate([(card.listing, card.photo)]))
        assert (answer.verdict, answer.stage) == (self.model.regenerate(card), card.stage)

    @precondition(lambda self: self.held())
    @rule(nth=ANY, uncertain=st.booleans())
    def replay(self, nth: int, uncertain: bool) -> None:
        card = self.pick(self.held(), nth)
        sent = self.run(self.account.ledger.replay([self.key(card)], create_again=uncertain))
        assert sent == self.model.replay(card, uncertain=uncertain)
        if sent:
            self.unanswered.pop(card.name, None)

    @precondition(lambda self: self.uncertain_with_jobs())
    @rule(nth=ANY)
    def resolve(self, nth: int) -> None:
        card = self.pick(self.uncertain_with_jobs(), nth)
        job = self.jobs[self.unanswered.get(card.name) or card.reference or ""]
        self.uncertain.clock = self.account.ledger.clock
        assert self.run(self.uncertain.resolve(self.key(card), job)) == self.model.resolve(card, job)
        self.unanswered.pop(card.name, None)

    # -- the fleet ------------------------------------------------------------------------------------------------

    def push(self, ms: int) -> None:
        self.account.push(ms)
        self.model.now = self.account.clock_ms

    @rule(ms=MOMENTS)
    def all_goes_well(self, ms: int) -> None:
        """A round of the fleet in which every answer is the best that there is."""
        self._round(ms, [0])

    @rule(ms=MOMENTS, answers=st.lists(ANY, min_size=1, max_size=4))
    def troubles(self, ms: int, answers: list[int]) -> None:
        """A round in which the API, the store and the sources answer as they like."""
        self._round(ms, answers)

    @rule(ms=MOMENTS, answers=st.lists(ANY, min_size=1, max_size=4), nth=ANY, what=INTERRUPTIONS)
    def interrupted(self, ms: int, answers: list[int], nth: int, what: list[str]) -> None:
        """A round in which much happens right before the last create is admitted, or while all steps are under way."""
        self.dispatch(ms)
        creates = [at for at, message in enumerate(self.messages) if message.step is StepName.CREATE_GENERATION]
        at = creates[-1] if creates else len(self.messages)
        some, self.messages = self.messages, []
        begun: list[Work | None] = []
        for number, message in enumerate([*some, None]):
            if number == at:
                for one in what:
                    self._between(one, nth)
            if message is not None:
                begun.append(self.begin_step(message, answers[number % len(answers)]))
        for work in begun:
            if work is not None:
                self.settle_step(work)

    def _between(self, what: str, nth: int) -> None:
        if what == "a lower cap":
            self.model.cap = max(1, min(self.model.cap, self.model.slots()))
            self.run(self.account.admission.report({"in_flight": str(self.model.cap)}, speed=1))
        elif what == "too many jobs":
            self.refused(Route.GENERATIONS, in_flight=True)
        elif what == "a message again" and self.delivered:
            self.begin_step(self.delivered[-1], nth)
        elif what == "a 429":
            self.refused(Route.SOURCE_ASSETS, in_flight=False)
        elif what == "a webhook" and self.jobs:
            self.webhook(nth, COMPLETED, by_job=True, by_reference=nth % 2 == 0)
        elif what == "another order":
            self.enqueue(LISTINGS[0], 2, STYLES[nth % 2], PARTNERS[0], 0)
        elif what == "cancel" and self.open():
            # One whose create is sent, if there is any: all others are just withdrawn.
            sent = [at for at, card in enumerate(self.open()) if card.stage in {Stage.CREATING, Stage.GENERATING}]
            self.cancel(sent[0] if sent else nth, keep=nth % 2 == 0)
        elif what == "another picture" and self.pictured():
            self.regenerate(nth)
        elif what == "pause" and self.open():
            self.pause(nth)

    @rule(ms=MOMENTS)
    def dispatch(self, ms: int) -> None:
        """What is sent out waits to be delivered."""
        self.push(ms)
        self.run(self.account.beat("worker-1"))
        sent = self.run(self.account.dispatch())
        self.model.look()
        for message in sent:
            self.model.lease(self.named(message), message.step, message.token)
        self.messages += sent

    def _round(self, ms: int, answers: list[int]) -> None:
        self.dispatch(ms)
        for nth in range(len(self.messages)):
            work = self.begin_step(self.messages.pop(0), answers[nth % len(answers)])
            if work is not None:
                self.settle_step(work)

    @precondition(lambda self: self.messages)
    @rule(nth=ANY, answer=ANY)
    def begin_work(self, nth: int, answer: int) -> None:
        """Begin a step; its worker may go on, die, or sleep through its lease."""
        work = self.begin_step(self.messages.pop(nth % len(self.messages)), answer)
        if work is not None:
            self.at_work.append(work)

    @precondition(lambda self: self.at_work)
    @rule(nth=ANY)
    def settle(self, nth: int) -> None:
        self.settle_step(self.at_work.pop(nth % len(self.at_work)))

    @precondition(lambda self: self.settled)
    @rule(nth=ANY)
    def settle_again(self, nth: int) -> None:
        """The same command comes twice; what was settled stays as it was."""
        self.settle_step(self.settled[nth % len(self.settled)])

    @precondition(lambda self: self.at_work)
    @rule(nth=ANY)
    def renew(self, nth: int) -> None:
        work = self.at_work[nth % len(self.at_work)]
        lost = self.run(self.account.ledger.renew([(work.photo.key, work.photo.token)]))
        assert (not lost) == self.model.renew(self.named(work.sent), work.photo.token)

    @precondition(lambda self: self.delivered)
    @rule(nth=ANY)
    def repeat_message(self, nth: int) -> None:
        self.messages.append(self.delivered[nth % len(self.delivered)])

    @precondition(lambda self: self.messages)
    @rule(nth=ANY)
    def lose_message(self, nth: int) -> None:
        self.messages.pop(nth % len(self.messages))

    # -- the API --------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.jobs)
    @rule(nth=ANY, event=st.sampled_from([COMPLETED, FAILED_JOB]), by_job=st.booleans(), by_reference=st.booleans())
    def webhook(self, nth: int, event: str, by_job: bool, by_reference: bool) -> None:
        """A webhook of any job that was ever made: early, again, late, or of a job that is nobody's any more."""
        key = self.pick(list(self.jobs), nth)
        job, reference = (self.jobs[key] if by_job else ""), (key if by_reference else "")
        outputs = event == COMPLETED
        found = self.run(
            self.account.hear(job or None, event, url="u" if outputs else None, reference=reference or None)
        )
        assert found == self.model.hear(event, job, reference, outputs=outputs)
        self.unanswered = {name: key for name, key in self.unanswered.items() if not self.model.cards[name].job}

    @rule(route=st.sampled_from(["account", Route.GENERATIONS, Route.GENERATION_READS]), in_flight=st.booleans())
    def refused(self, route: str, in_flight: bool) -> None:
        """The API answers 429, to somebody of the organisation."""
        self.run(self.account.admission.refused(route, 3_000, in_flight=in_flight))
        if in_flight:
            self.model.refused_for_jobs()
        else:
            self.model.calls.hold(route, self.model.now + 3_000)

    @rule(route=st.sampled_from([Route.SOURCE_ASSETS, Route.GENERATIONS, Route.GENERATION_READS]))
    def calls_of_others(self, route: Route) -> None:
        """An operator's command, or an upkeep, uses up what a route has left, and one call more."""
        for _ in range(LIMIT + 1):
            reason, token = self.model.calls.why_not(route, self.model.now), f"by hand {next(self.numbers)}"
            answer = self.run(self.account.admission.grant(self.account.limits.budgets[route], token))
            assert isinstance(answer, Granted) == (reason is None), reason
            if reason is None:
                self.model.calls.granted(route, token, self.model.now)

    @rule()
    def flush_scripts(self) -> None:
        """A restart empties the script cache: whatever may be forgotten counts as spent."""
        self.run(self.redis.script_flush())
        self.run(self.account.beat("worker-1"))
        self.model.calls.hold("restart", self.model.now + FORGETS_MS)

    # -- what holds after each of them ----------------------------------------------------------------------------

    @invariant()
    def all_is_as_it_should_be(self) -> None:
        """Redis holds what the cards say, every message was sent once and in order, and no budget was exceeded."""
        books.hold(self.model, *self.books.read())
        told = [json.loads(fields["event"]) for _, fields in self.books.redis.xrange(STREAM)]
        found = [(event["type"].removeprefix("stagecrew.").removesuffix(".v1"), event["subject"]) for event in told]
        assert found == self.model.events
        for route in self.model.calls.made:
            assert self.model.calls.most_at_once(route) <= LIMIT, f"too many calls of {route} in one window of the API"

    # -- details --------------------------------------------------------------------------------------------------

    def drain(self) -> None:
        while self.model.paused or self.model.paused_listings:
            self.resume(0)
        while any(card.pause or card.parked_from for card in self.model.cards.values()):
            self.resume_photo(0)
        for _ in range(60):
            for card in self.model.cards.values():
                if card.stage is Stage.UNCERTAIN:
                    self.run(self.account.ledger.replay([self.key(card)], create_again=True))
                    self.model.replay(card, uncertain=True)
                    self.unanswered.pop(card.name, None)
            if not self.open():
                break
            self._round(DAY_MS if any(self.model.capped(card) for card in self.model.cards.values()) else 11_000, [0])
        self.all_is_as_it_should_be()
        left = [(card.name, card.stage.value) for card in self.open()]
        assert left == [], f"photos that never come to an end: {left}"
        assert self.model.slots() == 0

    def open(self) -> list[Card]:
        return [card for card in self.model.cards.values() if card.stage not in ENDED]

    def of_listing(self, listing: str) -> list[Card]:
        return [card for card in self.model.cards.values() if card.listing == listing]

    def pictured(self) -> list[Card]:
        return [card for card in self.model.cards.values() if card.stage is Stage.DONE or card.parent]

    def held(self) -> list[Card]:
        return [card for card in self.model.cards.values() if card.stage in {Stage.FAILED, Stage.UNCERTAIN}]

    def uncertain_with_jobs(self) -> list[Card]:
        cards = [card for card in self.held() if card.stage is Stage.UNCERTAIN]
        return [card for card in cards if (self.unanswered.get(card.name) or card.reference or "") in self.jobs]

    @staticmethod
    def key(card: Card) -> str:
        return photo_key(card.listing, card.photo)

    @staticmethod
    def pick(some: list[T], nth: int) -> T:
        return some[nth % len(some)]
