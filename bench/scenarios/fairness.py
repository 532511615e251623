"""Ten photos of partner B behind a hundred thousand of partner A, at the published limits with all slots taken.

Counted are A's jobs created between B's enqueue and B's first job, in turns of the slots; B's photos have to be taken
in and ingested meanwhile, like everybody's.
"""

from __future__ import annotations

from typing import Final

from bench.books import creates_between
from bench.contenders.fleet import Fleet, running_fleet
from bench.contenders.waiting import many_listings
from bench.figures import MEGABYTES, OURS, TURNS, Figure, Findings
from bench.meter import Meter
from bench.scenarios.options import Options
from worker.core.photo import Stage
from worker.ledger.snapshot import Snapshot
from worker.sandbox.config import SandboxConfig

#: So many of A for each photo of the other scenarios: 100,000 for 800.
OF_A: Final = 125
OF_B: Final = 10
#: Stages of a photo whose job is created.
CREATED: Final = frozenset({Stage.GENERATING, Stage.STORING, Stage.ANNOUNCING, Stage.DONE})


def fairness(options: Options) -> Findings:
    """Measure stagecrew."""
    config = SandboxConfig(speed=options.speed, picture="tiny")
    waiting = OF_A * options.photos
    with options.arena.open(config, OF_B) as (work, sandbox), running_fleet(work) as fleet:
        _enqueue(fleet, waiting, "partner-a")
        fleet.wait("all slots taken", lambda now: now.slots_used >= min(config.in_flight, waiting))
        since_ms = sandbox.books()["now_ms"]
        _enqueue(fleet, OF_B, "partner-b")
        fleet.wait("partner B's jobs created", lambda now: _created(now, "partner-b") == OF_B)
        jobs = sandbox.books()["jobs"]
        peak = Meter(fleet.pids).read()["worker"].peak_bytes
    turns = creates_between(jobs, "partner-b", since_ms) / config.in_flight
    options.say(f"fairness: B's first job came after {turns:.2f} turns of the slots, {waiting:,} of A waiting")
    return Findings(
        figures=(
            Figure(
                title=f"{OF_B} photos of partner B behind {waiting:,} of A: turns of the slots until B's first job",
                unit=TURNS,
                values={OURS: turns},
                asked="≤ 1",
                holds=turns <= 1,
            ),
            Figure(
                title=f"peak memory of a worker, {waiting:,} photos waiting", unit=MEGABYTES, values={OURS: float(peak)}
            ),
        ),
    )


def _enqueue(fleet: Fleet, photos: int, partner: str) -> None:
    source = str(fleet.work.source(0))
    fleet.ask(lambda account: account.ledger.enqueue(many_listings(photos, source, [partner])))


def _created(now: Snapshot, partner: str) -> int:
    return sum(count for stage, count in now.partners.get(partner, {}).items() if stage in CREATED)
