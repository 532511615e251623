"""`python -m bench`: runs the scenarios one after another, prints the table, and writes the document when all ran."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from bench.arena import open_arena
from bench.contenders.contender import ROOT, Contender, RunFailed
from bench.contenders.floor_script import FloorScript
from bench.contenders.naive_chain import NaiveChain
from bench.contenders.plain_script import PlainScript
from bench.contenders.stagecrew import Stagecrew
from bench.figures import Findings, Report
from bench.machine import machine
from bench.report.plot import plot
from bench.report.table import document, table
from bench.scenarios.alone import alone
from bench.scenarios.cost import cost
from bench.scenarios.deliveries import deliveries
from bench.scenarios.fairness import fairness
from bench.scenarios.options import Options
from bench.scenarios.scale import scale
from bench.scenarios.shift import shift
from bench.scenarios.slots import slots
from bench.scenarios.webhooks import webhooks
from bench.scenarios.writes import writes
from worker.cli.exits import INTERRUPTED
from worker.sandbox.config import SandboxConfig

CONTENDERS: Final[Sequence[Contender]] = (Stagecrew(), NaiveChain(), PlainScript(), FloorScript())
SCENARIOS: Final[Mapping[str, Callable[[Options], Findings]]] = {
    "slots": slots,
    "webhooks": webhooks,
    "writes": writes,
    "shift": shift,
    "cost": cost,
    "alone": alone,
    "fairness": fairness,
    "scale": scale,
    "deliveries": deliveries,
}
#: Fewer photos than this never fill the slots fifteen times over.
PHOTOS: Final = 800
LEAST_PHOTOS: Final = 60


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--scenario", action="append", choices=list(SCENARIOS), help="run this one; all unless given")
    parser.add_argument(
        "--contender", action="append", choices=[one.name for one in CONTENDERS], help="have this one run; all unless"
    )
    parser.add_argument("--photos", type=int, default=PHOTOS, help=f"photos a run, at least {LEAST_PHOTOS}")
    parser.add_argument("--speed", type=float, default=10.0, help="how much faster than real time the API's clock runs")
    parser.add_argument("--workers", type=int, default=2, help="worker processes of stagecrew and the chain")
    parser.add_argument("--full", action="store_true", help="a backlog of a million photos, too")
    parser.add_argument("--write", type=Path, help="folder for benchmarks.md and .svg; docs/ when everything runs")
    given = parser.parse_args(words)
    if given.photos < LEAST_PHOTOS or given.speed <= 0 or given.workers < 1:
        parser.error(f"--photos must be at least {LEAST_PHOTOS}, --workers at least 1, and --speed more than 0")
    return given


def main(words: Sequence[str] | None = None) -> int:
    """Run what was asked for; 0 when every figure is what is asked of it, 1 when one is not or a run failed.

    2 where it can't measure, 130 when it is interrupted.
    """
    words = sys.argv[1:] if words is None else words
    given = parse(words)
    if not Path("/proc/self/stat").exists():
        say("the benchmarks read what processes cost from /proc: run them on Linux")
        return 2
    everything = given.scenario is None and given.contender is None
    folder = given.write.resolve() if given.write else (ROOT / "docs" if everything else None)
    report = Report(command=shlex.join(["stagecrew", "bench", *words]), machine=machine())
    came_from = Path.cwd()
    with open_arena(given.workers) as arena:
        # No `.env` of the folder one works in may reach the contenders.
        os.chdir(arena.folder)
        options = Options(
            arena=arena,
            contenders=tuple(one for one in CONTENDERS if given.contender is None or one.name in given.contender),
            photos=given.photos,
            speed=given.speed,
            full=given.full,
            say=say,
        )
        try:
            for name in given.scenario or SCENARIOS:
                report.findings.append(SCENARIOS[name](options))
        except RunFailed as failed:
            say(f"the benchmarks ended: {failed}")
            return 1
        except KeyboardInterrupt:
            say("the benchmarks were interrupted; nothing was written")
            return INTERRUPTED
        finally:
            os.chdir(came_from)
    titles = {one.name: one.title for one in CONTENDERS}
    sys.stdout.write(table(report.figures, titles) + "\n")
    if folder is not None:
        write(report, titles, folder)
        say(f"written: {folder}/benchmarks.md and benchmarks.svg")
    for figure in report.failing:
        say(f"not what is asked: {figure.title}: {figure.asked}")
    return 1 if report.failing else 0


def write(report: Report, titles: Mapping[str, str], folder: Path) -> None:
    """Write the document and its drawing."""
    folder.mkdir(parents=True, exist_ok=True)
    method = (Path(__file__).parent / "report" / "method.md").read_text(encoding="utf-8")
    (folder / "benchmarks.md").write_text(document(report, titles, method), encoding="utf-8")
    lines = [line for found in report.findings for line in found.slots]
    curve = [line for found in report.findings for line in found.dispatch]
    drawing = plot(lines, curve, SandboxConfig().in_flight)
    (folder / "benchmarks.svg").write_text(drawing, encoding="utf-8")


def say(line: str) -> None:
    """Print a line for people, apart from the results."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
