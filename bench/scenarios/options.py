"""What every scenario is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.arena import Arena
from bench.contenders.contender import Contender


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The choices of one run of the benchmarks."""

    arena: Arena
    contenders: tuple[Contender, ...]
    photos: int
    speed: float
    #: A million photos where it is about scale.
    full: bool
    #: Prints a line about how it goes.
    say: Callable[[str], None]
