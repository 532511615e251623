"""A photo in the model: it is in one place at any time, and all sets and counters in Redis follow from that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from worker.core.photo import STEP_OF, Stage, StepName
from worker.core.step import Step

#: Stages that wait for a turn, stages before any job, stages whose job may run; steps that are reads.
TURNS: Final = {Stage.ACCEPTED: "source", Stage.INGESTED: "generation"}
UNPAID: Final = {Stage.ACCEPTED, Stage.INGESTING, Stage.INGESTED, Stage.PARKED}
IN_FLIGHT: Final = {Stage.CREATING, Stage.GENERATING, Stage.UNCERTAIN}
READS: Final = {StepName.POLL_INGEST: "ingest_reads", StepName.POLL_GENERATION: "generation_reads"}


@dataclass
class Card:
    """One photo."""

    listing: str
    photo: str
    partner: str
    priority: int
    style: str
    stage: Stage = Stage.ACCEPTED
    backlog: bool = True
    due_ms: int | None = None
    token: str = ""
    lease_ms: int = 0
    opened: str = ""
    ungranted: bool = False
    settled: str = ""
    slot: bool = False
    #: What its job is known by, as the row has them, and whether a webhook finds it.
    reference: str | None = None
    job: str | None = None
    named: bool = False
    #: The day on which its create was counted, until it is known whether it bought anything.
    spent: int | None = None
    rereads: bool = False
    resume: bool = False
    next_style: str | None = None
    cancel: str | None = None
    pause: bool = False
    parked_from: Stage | None = None
    regeneration: int = 0
    parent: str | None = None

    @property
    def name(self) -> str:
        return f"{self.listing}/{self.photo}"

    def lift(self) -> None:
        """Take it out of wherever it waits, and from whoever works on it."""
        self.backlog, self.due_ms, self.token, self.opened, self.ungranted = False, None, "", "", False

    def learn(self, step: Step) -> None:
        """Take over what a step that is settled says of the job."""
        fields = dict(step.fields)
        if step.unspent or fields.get("job_id", self.job) != self.job:
            self.spent = None
        self.job = fields.get("job_id", self.job)
        self.reference = None if "idempotency_key" in step.drop else fields.get("idempotency_key", self.reference)
        self.rereads = ("rereads" in fields or self.rereads) and "rereads" not in step.drop
        self.resume = self.resume or "resume" in fields
        self.slot = (self.slot and not step.release_slot) or step.adopt_slot
        self.pause = self.pause and "pause" not in step.drop

    def forget(self) -> None:
        """Begin anew: nothing is left of its way so far."""
        self.job, self.reference, self.named, self.spent = None, None, False, None
        self.rereads, self.resume, self.next_style = False, False, None
        self.cancel, self.pause, self.parked_from = None, False, None
        self.regeneration, self.parent = 0, None

    def wait(self, stage: Stage, due_ms: int | None = None) -> None:
        """Put it where a stage waits: for its turn, or for a time."""
        self.lift()
        self.stage = stage
        self.backlog = due_ms is None and stage in TURNS
        self.due_ms = due_ms if stage in STEP_OF else None
