"""The document: what was measured, how, and one table of all figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from bench.figures import OURS, Figure, Report

NONE: Final = "–"


def document(report: Report, titles: Mapping[str, str], method: str) -> str:
    """Return the Markdown document; `titles`: contender -> its column's head; `method`: how it is measured."""
    notes = [note for found in report.findings for note in found.notes]
    parts = [
        "# Benchmarks",
        "What stagecrew does beside its peers, on one machine; written by the run that measured it:",
        f"<!-- not run: it measures for a quarter of an hour -->\n```sh\n{report.command}\n```",
        report.machine,
        "![Slots in use over time, and what a dispatched photo costs by backlog](benchmarks.svg)",
        table(report.figures, titles),
        *notes,
        method.strip(),
    ]
    return "\n\n".join(parts) + "\n"


def table(figures: Sequence[Figure], titles: Mapping[str, str]) -> str:
    """Return one Markdown table; beside a peer's value stands its ratio to ours."""
    names = [name for name in titles if any(name in figure.values for figure in figures)]
    rows = [["figure", "asked", *(titles[name] for name in names)]]
    rows += [[figure.title, _asked(figure), *(_cell(figure, name) for name in names)] for figure in figures]
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|---" * len(rows[0]) + "|", *body])


def _asked(figure: Figure) -> str:
    if figure.holds is None:
        return figure.asked
    return f"{figure.asked} {'✓' if figure.holds else '✗'}"


def _cell(figure: Figure, name: str) -> str:
    value = figure.values.get(name)
    if value is None:
        return NONE
    ours = figure.values.get(OURS)
    written = figure.unit.write(value)
    if name == OURS or not ours or not figure.unit.ratio:
        return written
    return f"{written} (×{value / ours:.2g})"
