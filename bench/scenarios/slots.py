"""Slots are the bound: the published limits, jobs of 30 to 60 s, results by polling alone. All contenders."""

from __future__ import annotations

from typing import Final

from bench.arena import Run
from bench.books import detection_s, refill_s, slot_use, slots_over_time
from bench.figures import COUNT, MEGABYTES, MS, NUMBER, OURS, PLAIN_SHARE, SECONDS, SHARE, Figure, Findings, Line
from bench.scenarios.options import Options
from worker.sandbox.config import SandboxConfig

LEAST_USE: Final = 0.97
#: Points of a line in the plot.
POINTS: Final = 160


def slots(options: Options) -> Findings:
    """Measure every contender, one after another."""
    config = SandboxConfig(speed=options.speed, picture="tiny")
    runs = {}
    for contender in options.contenders:
        runs[contender.name] = run = options.arena.run(contender, config, options.photos)
        used = SHARE.write(slot_use(run.jobs, config.in_flight))
        options.say(f"slots: {contender.title}: {used} of the slots, {run.refused} refused, {run.spent.seconds:.0f} s")
    return findings({contender.title: runs[contender.name] for contender in options.contenders}, config, runs)


def findings(titles: dict[str, Run], config: SandboxConfig, runs: dict[str, Run]) -> Findings:
    """Return the figures of the runs (by contender)."""
    use = {name: slot_use(run.jobs, config.in_flight) for name, run in runs.items()}
    refused = {name: float(run.refused) for name, run in runs.items()}
    return Findings(
        figures=(
            Figure(
                title="slots in use, polling",
                unit=SHARE,
                values=use,
                asked="≥ 97 %",
                holds=use[OURS] >= LEAST_USE if OURS in use else None,
            ),
            Figure(
                title="calls refused (429)",
                unit=COUNT,
                values=refused,
                asked="0",
                holds=refused[OURS] == 0 if OURS in refused else None,
            ),
            Figure(
                title="reads per job",
                unit=NUMBER,
                values={name: run.reads_per_job for name, run in runs.items()},
            ),
            Figure(
                title="from a job's end until the client knows, median, API time",
                unit=SECONDS,
                values={name: detection_s(run.jobs) for name, run in runs.items()},
            ),
            Figure(
                title="from a job's end to the create in its place, median, API time",
                unit=SECONDS,
                values={name: refill_s(run.jobs, config.in_flight) for name, run in runs.items()},
            ),
            Figure(
                title="CPU per photo at these limits",
                unit=MS,
                values={name: run.cpu_ms for name, run in runs.items()},
            ),
            Figure(
                title="share of a core for that",
                unit=PLAIN_SHARE,
                values={name: run.core_share for name, run in runs.items()},
            ),
            Figure(
                title="peak memory of a process",
                unit=MEGABYTES,
                values={name: float(run.peak_bytes) for name, run in runs.items()},
            ),
        ),
        slots=tuple(
            Line(label=title, points=tuple(slots_over_time(run.jobs, POINTS))) for title, run in titles.items()
        ),
    )
