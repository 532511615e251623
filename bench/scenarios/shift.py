"""Durations double in mid-run: what was learnt about when jobs end is suddenly wrong. Slot use from then on."""

from __future__ import annotations

from typing import Final

from bench.books import detection_s, slot_use, slots_over_time
from bench.contenders.stagecrew import Stagecrew
from bench.figures import COUNT, OURS, SECONDS, SHARE, Figure, Findings, Line
from bench.scenarios.options import Options
from bench.scenarios.slots import POINTS
from worker.sandbox.config import SandboxConfig

#: The share of photos that are done when durations change.
SHIFT_AT: Final = 0.25
FACTOR: Final = 2.0


def shift(options: Options) -> Findings:
    """Measure stagecrew."""
    config = SandboxConfig(speed=options.speed, picture="tiny")
    shifted_ms: list[float] = []

    with options.arena.open(config, options.photos) as (work, sandbox):

        def look(done: int) -> None:
            if done >= options.photos * SHIFT_AT and not shifted_ms:
                sandbox.configure(job_min_s=config.job_min_s * FACTOR, job_max_s=config.job_max_s * FACTOR)
                shifted_ms.append(sandbox.books()["now_ms"])

        run = options.arena.measure(Stagecrew(), work, sandbox, look)
    use = slot_use(run.jobs, config.in_flight, after_ms=shifted_ms[0])
    late = [job for job in run.jobs if job["created_ms"] >= shifted_ms[0]]
    options.say(f"shift: {SHARE.write(use)} of the slots after durations doubled, {run.refused} refused")
    return Findings(
        figures=(
            Figure(title="slots in use after durations doubled in mid-run", unit=SHARE, values={OURS: use}),
            Figure(
                title="from a job's end until the client knows, after that, median, API time",
                unit=SECONDS,
                values={OURS: detection_s(late)},
            ),
            Figure(
                title="calls refused (429), durations doubled",
                unit=COUNT,
                values={OURS: float(run.refused)},
                asked="0",
                holds=run.refused == 0,
            ),
        ),
        slots=(Line(label="stagecrew, durations double", points=tuple(slots_over_time(run.jobs, POINTS))),),
    )
