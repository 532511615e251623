"""Slots are the bound and results come by webhook, through stagecrew's gateway. The peers have no receiver."""

from __future__ import annotations

from typing import Final

from bench.books import detection_s, slot_use, slots_over_time
from bench.contenders.stagecrew import Stagecrew
from bench.figures import COUNT, NUMBER, OURS, SECONDS, SHARE, Figure, Findings, Line
from bench.scenarios.options import Options
from bench.scenarios.slots import POINTS
from worker.sandbox.config import SandboxConfig

LEAST_USE: Final = 0.985


def webhooks(options: Options) -> Findings:
    """Measure stagecrew with its gateway."""
    config = SandboxConfig(speed=options.speed, picture="tiny")
    run = options.arena.run(Stagecrew(), config, options.photos, webhooks=True)
    use = slot_use(run.jobs, config.in_flight)
    options.say(f"webhooks: {SHARE.write(use)} of the slots, {run.refused} refused, {run.spent.seconds:.0f} s")
    return Findings(
        figures=(
            Figure(
                title="slots in use, webhooks",
                unit=SHARE,
                values={OURS: use},
                asked="≥ 98.5 %",
                holds=use >= LEAST_USE,
            ),
            Figure(
                title="calls refused (429), webhooks",
                unit=COUNT,
                values={OURS: float(run.refused)},
                asked="0",
                holds=run.refused == 0,
            ),
            Figure(title="reads per job, webhooks", unit=NUMBER, values={OURS: run.reads_per_job}),
            Figure(
                title="from a job's end until the client knows, webhooks, median, API time",
                unit=SECONDS,
                values={OURS: detection_s(run.jobs)},
            ),
        ),
        slots=(Line(label="stagecrew, webhooks", points=tuple(slots_over_time(run.jobs, POINTS))),),
    )
