"""What a photo costs when nothing has to be waited for: the API's limits are lifted, ingests and jobs are short.

CPU counts from the moment at which all processes are up to the last completion; Redis is shown apart, the sandbox not
at all. Its share of a core says whether it held anybody up.
"""

from __future__ import annotations

from typing import Final

from bench.figures import MS, OURS, PER_S, SHARE, Figure, Findings
from bench.scenarios.options import Options
from worker.sandbox.config import SandboxConfig

IN_FLIGHT: Final = 100
#: At most this share of the naive chain's CPU, and this multiple of the floor script's.
OF_CHAIN: Final = 0.25
OF_FLOOR: Final = 2.0


def cost(options: Options) -> Findings:
    """Measure every contender, one after another."""
    config = SandboxConfig(
        speed=options.speed,
        picture="tiny",
        limits_off=True,
        in_flight=IN_FLIGHT,
        ingest_min_s=0.5,
        ingest_max_s=1.5,
        job_min_s=5,
        job_max_s=10,
    )
    runs = {}
    for contender in options.contenders:
        runs[contender.name] = run = options.arena.run(contender, config, options.photos)
        options.say(
            f"cost: {contender.title}: {run.cpu_ms:.1f} ms of CPU a photo, {run.reads_per_job:.1f} reads a job, "
            f"{run.spent.seconds:.0f} s, the sandbox took {run.sandbox_share:.0%} of a core"
        )
    cpu = {name: run.cpu_ms for name, run in runs.items()}
    return Findings(
        figures=(
            Figure(
                title="CPU per photo, limits lifted",
                unit=MS,
                values=cpu,
                asked="≤ ¼ of the chain's, ≤ 2 × the floor's",
                holds=_cheap(cpu),
            ),
            Figure(
                title="CPU of Redis per photo, limits lifted",
                unit=MS,
                values={name: run.redis_cpu_ms for name, run in runs.items() if run.redis_cpu_ms is not None},
            ),
            Figure(
                title="photos a second, limits lifted",
                unit=PER_S,
                values={name: run.photos / run.spent.seconds for name, run in runs.items()},
            ),
            Figure(
                title="the sandbox's share of a core meanwhile",
                unit=SHARE_ALONE,
                values={name: run.sandbox_share for name, run in runs.items()},
            ),
        ),
    )


def _cheap(cpu: dict[str, float]) -> bool | None:
    if not {OURS, "chain", "floor"} <= set(cpu):
        return None
    return cpu[OURS] <= OF_CHAIN * cpu["chain"] and cpu[OURS] <= OF_FLOOR * cpu["floor"]


SHARE_ALONE: Final = type(SHARE)(write=SHARE.write, ratio=False)
