"""`stagecrew bench`: the benchmarks of a source checkout; they are not part of an installed stagecrew."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from worker.cli.terminal import stop


def bench(
    *,
    scenario: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Run only this one (repeatable): slots, webhooks, writes, shift, cost, alone, fairness, scale, "
            "deliveries.",
        ),
    ] = None,
    contender: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Measure only this one (repeatable): stagecrew, chain, script, floor."),
    ] = None,
    photos: Annotated[int, typer.Option(min=60, help="Photos of one run.")] = 800,
    speed: Annotated[float, typer.Option(min=0.01, help="How much faster than real time the API's clock runs.")] = 10.0,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes of stagecrew and of the Celery chain.")] = 2,
    full: Annotated[bool, typer.Option("--full", help="Measure a backlog of a million photos, too.")] = False,
    write: Annotated[
        Path | None, typer.Option(help="Folder for benchmarks.md and benchmarks.svg; docs when everything runs.")
    ] = None,
) -> None:
    """Measure this machine's stagecrew and its peers side by side against the sandbox; ten minutes or more."""
    root = Path(__file__).parents[2]
    if not (root / "bench" / "__main__.py").is_file():
        stop("the benchmarks are in the source checkout only: clone it, then `make setup` and `make bench` there")
    from worker.cli.crew import child_environ  # noqa: PLC0415 - `--help` must not wait for it

    words = [f"--scenario={name}" for name in scenario or ()]
    words += [f"--contender={name}" for name in contender or ()]
    if write is not None:
        words.append(f"--write={write.resolve()}")
    words += [f"--photos={photos}", f"--speed={speed:g}", f"--workers={workers}", *(["--full"] if full else [])]
    command = [sys.executable, "-P", "-m", "bench", *words]
    os.execve(sys.executable, command, child_environ({}))  # noqa: S606 - the same program, as its own module
