"""The drawing: slots in use over time on the left, what a dispatched photo costs on the right. Plain SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from bench.figures import Line

WIDTH: Final = 1000
HEIGHT: Final = 400
#: Okabe and Ito's colours: told apart by everybody.
COLOURS: Final = ("#0072B2", "#D55E00", "#CC79A7", "#009E73", "#E69F00", "#56B4E9")
INK: Final = "#333333"
FAINT: Final = "#DDDDDD"
_STYLE: Final = "font-family='system-ui,sans-serif' font-size='12'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis: which values it spans, where, its ticks, and whether it is logarithmic."""

    low: float
    high: float
    begin: float
    end: float
    ticks: Sequence[float]
    log: bool = False

    def place(self, value: float) -> float:
        """Return where a value is drawn."""
        low, high, at = (math.log10(x) if self.log else x for x in (self.low, self.high, value))
        return self.begin + (at - low) / (high - low) * (self.end - self.begin)


def plot(slots: Sequence[Line], dispatch: Sequence[Line], cap: int) -> str:
    """Return the drawing; `cap`: how many slots there are."""
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' role='img' {_STYLE}>",
        "<title>Slots in use over time, and what a dispatched photo costs by backlog</title>",
        f"<rect width='{WIDTH}' height='{HEIGHT}' fill='white'/>",
    ]
    if slots:
        parts += _slots(slots, cap)
    if dispatch:
        parts += _dispatch(dispatch)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _slots(lines: Sequence[Line], cap: int) -> list[str]:
    last = max(x for line in lines for x, _ in line.points)
    across = Axis(low=0, high=last, begin=50, end=600, ticks=_steps(last))
    up = Axis(low=0, high=cap * 1.08, begin=300, end=40, ticks=[cap * part / 5 for part in range(6)])
    parts = _frame(across, up, "slots in use", "seconds of the API's time since the first job", "{:,.0f}".format)
    for number, line in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        parts.append(_polyline(line, across, up, colour))
        x, y = 50 + number % 3 * 190, 352 + number // 3 * 20
        parts.append(f"<line x1='{x}' y1='{y - 4}' x2='{x + 20}' y2='{y - 4}' stroke='{colour}' stroke-width='3'/>")
        parts.append(_text(x + 26, y, line.label))
    return parts


def _dispatch(lines: Sequence[Line]) -> list[str]:
    points = [point for line in lines for point in line.points]
    sizes = sorted({x for x, _ in points})
    first = math.floor(math.log10(sizes[0]))
    last = max(first + 1, math.ceil(math.log10(sizes[-1])))
    most = max(y for _, y in points) * 1.3
    across = Axis(
        low=10**first, high=10**last, begin=680, end=970, ticks=[10.0**n for n in range(first, last + 1)], log=True
    )
    up = Axis(low=0, high=most, begin=300, end=40, ticks=_steps(most))
    parts = _frame(across, up, "µs of the dispatch script per photo", "photos waiting", _short)
    for number, line in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        parts.append(_polyline(line, across, up, colour))
        parts += [
            f"<circle cx='{across.place(x):.1f}' cy='{up.place(y):.1f}' r='4' fill='{colour}'/>" for x, y in line.points
        ]
    return parts


def _frame(across: Axis, up: Axis, above: str, below: str, write: Callable[[float], str]) -> list[str]:
    parts = [_text(across.begin - 30, 22, above, weight="bold")]
    for tick in up.ticks:
        y = up.place(tick)
        parts.append(f"<line x1='{across.begin}' y1='{y:.1f}' x2='{across.end}' y2='{y:.1f}' stroke='{FAINT}'/>")
        parts.append(_text(across.begin - 6, y + 4, f"{tick:,.0f}", anchor="end"))
    parts += [_text(across.place(tick), up.begin + 18, write(tick), anchor="middle") for tick in across.ticks]
    middle = (across.begin + across.end) / 2
    return [*parts, _text(middle, up.begin + 36, below, anchor="middle")]


def _polyline(line: Line, across: Axis, up: Axis, colour: str) -> str:
    points = " ".join(f"{across.place(x):.1f},{up.place(y):.1f}" for x, y in line.points)
    return f"<polyline points='{points}' fill='none' stroke='{colour}' stroke-width='1.8'/>"


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal") -> str:
    place = f"x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' font-weight='{weight}'"
    return f"<text {place} fill='{INK}'>{escape(text)}</text>"


def _steps(most: float) -> list[float]:
    """Return round ticks from 0 up to `most`, four to eight of them."""
    size = 10 ** math.floor(math.log10(most))
    step = next(size * part for part in (0.2, 0.5, 1, 2) if most / (size * part) <= 8)  # noqa: PLR2004
    return [number * step for number in range(int(most / step) + 1)]


def _short(value: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
