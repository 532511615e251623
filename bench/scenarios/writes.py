"""Writes are the bound: jobs of 5 to 10 s, so that 120 creates a minute leave slots empty.

The clock runs five times as fast at most: a grant's place in the window is held until its call has been answered, and
what calls take on this machine does not shrink with the window.
"""

from __future__ import annotations

from typing import Final

from bench.books import budget_use
from bench.contenders.stagecrew import Stagecrew
from bench.figures import COUNT, OURS, SHARE, Figure, Findings
from bench.scenarios.options import Options
from worker.sandbox.config import LIMITS, SandboxConfig

FASTEST: Final = 5.0
#: Of the photos of other scenarios, in whole fills of the budget; the first fill is ramp-up.
PART: Final = 0.6
LEAST_FILLS: Final = 3
LEAST_USE: Final = 0.97


def writes(options: Options) -> Findings:
    """Measure stagecrew."""
    per_minute = LIMITS["generations"]
    photos = max(LEAST_FILLS, int(options.photos * PART) // per_minute) * per_minute
    speed = min(FASTEST, options.speed)
    config = SandboxConfig(speed=speed, picture="tiny", job_min_s=5, job_max_s=10)
    run = options.arena.run(Stagecrew(), config, photos)
    use = budget_use(run.jobs, per_minute)
    options.say(f"writes: {SHARE.write(use)} of the budget, {run.refused} refused, {run.spent.seconds:.0f} s")
    return Findings(
        figures=(
            Figure(
                title="write budget in use, short jobs",
                unit=SHARE,
                values={OURS: use},
                asked="≥ 97 %",
                holds=use >= LEAST_USE,
            ),
            Figure(
                title="calls refused (429), short jobs",
                unit=COUNT,
                values={OURS: float(run.refused)},
                asked="0",
                holds=run.refused == 0,
            ),
        ),
    )
