"""What is reported: figures with their values by contender, what was asked of them, and the lines of the plot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

#: Our own column; ratios are to its value.
OURS: Final = "stagecrew"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """How a value is written, and whether a ratio between two of them says anything."""

    write: Callable[[float], str]
    ratio: bool = True


SHARE: Final = Unit(write=lambda value: f"{value:.1%}".replace("%", " %"))
PLAIN_SHARE: Final = Unit(write=SHARE.write, ratio=False)
COUNT: Final = Unit(write=lambda value: f"{value:,.0f}", ratio=False)
NUMBER: Final = Unit(write=lambda value: f"{value:.1f}")
TURNS: Final = Unit(write=lambda value: f"{value:.2f}", ratio=False)
MS: Final = Unit(write=lambda value: f"{value:,.0f} ms" if value >= 100 else f"{value:.1f} ms")  # noqa: PLR2004
US: Final = Unit(write=lambda value: f"{value:,.0f} µs")
SECONDS: Final = Unit(write=lambda value: f"{value:.2f} s")
MEGABYTES: Final = Unit(write=lambda value: f"{value / 1e6:,.0f} MB")
BYTES: Final = Unit(write=lambda value: f"{value:,.0f} B")
PER_S: Final = Unit(write=lambda value: f"{value:,.0f}/s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table."""

    title: str
    unit: Unit
    #: Contender -> value.
    values: Mapping[str, float]
    #: What the project asks of it, in words, and whether it holds; empty and None where nothing is asked.
    asked: str = ""
    holds: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a plot."""

    label: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What one scenario found."""

    figures: tuple[Figure, ...]
    #: Slots in use over time, and dispatch cost by backlog.
    slots: tuple[Line, ...] = ()
    dispatch: tuple[Line, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Report:
    """The findings of a whole run, in the order in which they came."""

    command: str
    machine: str
    findings: list[Findings] = field(default_factory=list)

    @property
    def figures(self) -> list[Figure]:
        """All lines of the table."""
        return [figure for found in self.findings for figure in found.figures]

    @property
    def failing(self) -> list[Figure]:
        """The figures that do not keep what is asked of them."""
        return [figure for figure in self.figures if figure.holds is False]
