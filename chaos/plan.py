"""What is done to the fleet, and when: drawn from one seed, so that a run can be had again. Pure.

Times are not in it: the script strikes by how far the run is, and the dice are thrown once a tick. What a strike hits
is told as a number from 0 to 1, of the workers that there are then.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

#: A tick, in seconds of real time.
TICK_S: Final = 0.25


class Fault(StrEnum):
    """One kind of strike."""

    WORKER_KILLED = "worker_killed"
    LEADER_KILLED = "leader_killed"
    ALL_WORKERS_KILLED = "all_workers_killed"
    WORKER_STOPPED = "worker_stopped"  #: for longer than a lease; then it goes on, as a zombie
    LEADER_STOPPED = "leader_stopped"
    WORKER_CLOCK_JUMPS = "worker_clock_jumps"
    GATEWAY_KILLED = "gateway_killed"
    REDIS_KILLED = "redis_killed"  #: and started again on its append-only file
    REDIS_EMPTIED = "redis_emptied"  #: killed, and started again without its file
    REDIS_STOPPED = "redis_stopped"  #: paused, and goes on
    REDIS_OUT_OF_MEMORY = "redis_out_of_memory"
    REDIS_DISK_FULL = "redis_disk_full"
    REDIS_FAILED_OVER = "redis_failed_over"  #: to a replica that lacks the last writes
    REDIS_CONNECTIONS_CUT = "redis_connections_cut"
    POISON = "poison"  #: what is no message of ours, in the fleet's queues
    API_DOWN = "api_down"
    API_REFUSES = "api_refuses"  #: 429 to most calls
    API_FAILS = "api_fails"  #: 500s, with and without effect, HTML pages
    API_LIES = "api_lies"  #: cut JSON, answers of something else, pages with status 200
    API_CUT = "api_cut"  #: connections cut in mid-request and mid-answer
    API_SLOW = "api_slow"
    STORE_DOWN = "store_down"
    STORE_FAILS = "store_fails"  #: 503
    STORE_FORBIDS = "store_forbids"  #: 403
    STORE_ELSEWHERE = "store_elsewhere"  #: the bucket is in another region
    STORE_CUT = "store_cut"
    STORE_SLOW = "store_slow"
    SOURCES_FAIL = "sources_fail"  #: the hosts that the photos are on
    SINK_DOWN = "sink_down"
    SINK_FAILS = "sink_fails"
    SINK_CUT = "sink_cut"


#: Spells end by themselves: how long each lasts at least and at most, in seconds of real time.
SPELLS: Final[Mapping[Fault, tuple[float, float]]] = {
    # Longer than a lease.
    Fault.WORKER_STOPPED: (5.0, 7.0),
    Fault.LEADER_STOPPED: (5.0, 7.0),
    Fault.REDIS_STOPPED: (1.0, 4.0),
    Fault.REDIS_OUT_OF_MEMORY: (1.0, 3.0),
    Fault.REDIS_DISK_FULL: (2.0, 3.0),
    Fault.API_DOWN: (2.0, 5.0),
    Fault.API_REFUSES: (1.0, 3.0),
    Fault.API_FAILS: (1.0, 4.0),
    Fault.API_LIES: (1.0, 4.0),
    Fault.API_CUT: (1.0, 4.0),
    Fault.API_SLOW: (1.0, 4.0),
    Fault.STORE_DOWN: (1.0, 4.0),
    Fault.STORE_FAILS: (1.0, 4.0),
    Fault.STORE_FORBIDS: (1.0, 3.0),
    Fault.STORE_ELSEWHERE: (1.0, 3.0),
    Fault.STORE_CUT: (1.0, 4.0),
    Fault.STORE_SLOW: (1.0, 4.0),
    Fault.SOURCES_FAIL: (1.0, 4.0),
    Fault.SINK_DOWN: (1.0, 4.0),
    Fault.SINK_FAILS: (1.0, 4.0),
    Fault.SINK_CUT: (1.0, 4.0),
}
#: What loses writes that were acknowledged: producers have to hand everything over again afterwards.
FORGETFUL: Final = frozenset({Fault.REDIS_EMPTIED, Fault.REDIS_FAILED_OVER})
#: Chances of a tick in the long run. The first three are the mark of other suites.
CHANCES: Final[Mapping[Fault, float]] = {
    Fault.REDIS_KILLED: 0.02,
    Fault.WORKER_KILLED: 0.08,
    Fault.POISON: 0.05,
    Fault.WORKER_STOPPED: 0.01,
    Fault.WORKER_CLOCK_JUMPS: 0.01,
    Fault.GATEWAY_KILLED: 0.005,
    Fault.REDIS_CONNECTIONS_CUT: 0.005,
    Fault.REDIS_STOPPED: 0.002,
    Fault.API_FAILS: 0.01,
    Fault.API_LIES: 0.005,
    Fault.API_CUT: 0.01,
    Fault.API_SLOW: 0.005,
    Fault.API_REFUSES: 0.005,
    Fault.STORE_FAILS: 0.01,
    Fault.STORE_CUT: 0.005,
    Fault.STORE_SLOW: 0.005,
    Fault.SOURCES_FAIL: 0.005,
    Fault.SINK_FAILS: 0.01,
    Fault.SINK_CUT: 0.01,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """One thing that is done to the fleet."""

    fault: Fault
    #: Which of those that can be hit: 0 to 1 of them.
    victim: float
    #: How long a spell lasts, in seconds; 0: it is no spell.
    lasts_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A strike of the script, and how far the run has to be (0 to 1)."""

    at: float
    strike: Strike


def script(seed: int, faults: list[Fault], *, last: float = 0.8) -> list[Due]:
    """Return one strike of each fault, in an order of the seed's, spread over the run's first `last`."""
    dice = random.Random(f"{seed}:script")  # noqa: S311 - chaos, no secret
    order = list(faults)
    dice.shuffle(order)
    return [
        Due(at=last * (number + 1) / (len(order) + 1), strike=_strike(fault, dice))
        for number, fault in enumerate(order)
    ]


def thrown(seed: int, tick: int, chances: Mapping[Fault, float] = CHANCES) -> list[Strike]:
    """Return what happens by chance in one tick."""
    dice = random.Random(f"{seed}:tick:{tick}")  # noqa: S311 - chaos, no secret
    return [_strike(fault, dice) for fault, chance in chances.items() if dice.random() < chance]


def _strike(fault: Fault, dice: random.Random) -> Strike:
    lasts_s = dice.uniform(*SPELLS[fault]) if fault in SPELLS else 0.0
    return Strike(fault=fault, victim=dice.random(), lasts_s=lasts_s)
