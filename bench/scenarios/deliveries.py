"""Five hundred webhooks a second into one gateway on one core: nothing lost, and how fast they are answered.

What is sent and counted is in `bench/gateway.py`, which can be run by itself with other rates.
"""

from __future__ import annotations

import os
from typing import Final

from bench.figures import COUNT, MS, OURS, Figure, Findings
from bench.gateway import measure
from bench.scenarios.options import Options

RATE: Final = 500.0
SECONDS: Final = 10.0


def deliveries(options: Options) -> Findings:
    """Measure stagecrew's gateway."""
    cores = os.sched_getaffinity(0)
    try:
        found = measure(RATE, SECONDS)
    finally:
        # It leaves the gateway a core to itself.
        os.sched_setaffinity(0, cores)
    slow_ms = found.latencies_ms[min(len(found.latencies_ms) - 1, int(0.99 * len(found.latencies_ms)))]
    options.say(f"deliveries: 99 % of {found.sent:,} webhooks answered within {slow_ms:.1f} ms, {found.lost} lost")
    return Findings(
        figures=(
            Figure(
                title=f"webhooks lost of {found.sent:,}, {RATE:.0f} a second",
                unit=COUNT,
                values={OURS: float(found.lost)},
                asked="0",
                holds=found.lost == 0,
            ),
            Figure(title="answered within, 99 % of them", unit=MS, values={OURS: slow_ms}),
            Figure(title="CPU of the gateway per webhook", unit=MS, values={OURS: found.cpu_share * 1000 / RATE}),
        ),
    )
