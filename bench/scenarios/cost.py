"""What a photo costs when only the jobs have to be waited for: the API's limits are lifted, ingests and jobs are short.

It runs at real speed, so that each contender reads as often as it means to: at tenfold speed the slower ones find
everything over when they come to read it, and look cheaper for being late.

CPU counts from the moment at which all processes are up to the last completion. Redis is shown apart, and the sandbox
not at all; its share of a core says whether it held anybody up.
"""

from __future__ import annotations

from typing import Final

from bench.figures import MS, NUMBER, OURS, PER_S, PLAIN_SHARE, Figure, Findings
from bench.scenarios.options import Options
from worker.sandbox.config import SandboxConfig

#: The API's clock is the wall's.
SPEED: Final = 1.0
#: Jobs at once, of those that keep count: all that there are by default, as the chain does.
IN_FLIGHT: Final = 400
#: Of the photos of other scenarios: real speed takes its time.
PART: Final = 0.5
#: At most this share of the naive chain's CPU, and this multiple of the floor script's.
OF_CHAIN: Final = 0.25
OF_FLOOR: Final = 2.0


def cost(options: Options) -> Findings:
    """Measure every contender, one after another."""
    config = SandboxConfig(
        speed=SPEED,
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
        runs[contender.name] = run = options.arena.run(contender, config, int(options.photos * PART))
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
                title="reads per job, limits lifted",
                unit=NUMBER,
                values={name: run.reads_per_job for name, run in runs.items()},
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
                unit=PLAIN_SHARE,
                values={name: run.sandbox_share for name, run in runs.items()},
            ),
        ),
    )


def _cheap(cpu: dict[str, float]) -> bool | None:
    if not {OURS, "chain", "floor"} <= set(cpu):
        return None
    return cpu[OURS] <= OF_CHAIN * cpu["chain"] and cpu[OURS] <= OF_FLOOR * cpu["floor"]
