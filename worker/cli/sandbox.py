"""`stagecrew sandbox`: a simulator of the Katalo API to work against; nothing is billed."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.terminal import say, stop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.sandbox.config import Faults
    from worker.sandbox.fates import Rule


def sandbox(
    *,
    host: Annotated[
        str, typer.Option(help="Address to listen on. It has no password: keep it on this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8900,
    speed: Annotated[float, typer.Option(min=0.01, help="How much faster than real time its clock runs.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Same seed, same durations and pictures.")] = 1,
    fault: Annotated[
        list[str] | None, typer.Option(metavar="NAME=SHARE", help="A fault and its share, like errors_500=0.05.")
    ] = None,
    fate: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN=FATE", help="What becomes of photos of this name, like '*kitchen*=fails'."),
    ] = None,
    reading: Annotated[str, typer.Option(help="How the contract's open points are read.")] = "newer",
    fetch_sources: Annotated[
        bool, typer.Option("--fetch-sources", help="Fetch what source_url names; such ingests fail otherwise.")
    ] = False,
    state: Annotated[Path | None, typer.Option(help="File that keeps everything over restarts.")] = None,
    list_faults: Annotated[bool, typer.Option("--list-faults", help="Print faults and fates, and end.")] = False,
) -> None:
    """Run a simulator of the Katalo API in the foreground, with a page; print what to export to use it."""
    from dataclasses import asdict  # noqa: PLC0415 - `--help` must not wait for it

    from worker.sandbox.config import READINGS, SandboxConfig  # noqa: PLC0415

    if list_faults:
        _list()
        return
    if reading not in READINGS:
        stop(f"--reading {reading}: there is no such reading; choose one of {', '.join(READINGS)}")
    config = SandboxConfig(
        seed=seed,
        speed=speed,
        faults=faults_of(fault or []),
        fates=[asdict(rule) for rule in fates_of(fate or [])],
        fetch_sources=fetch_sources,
        readings=READINGS[reading],
        state=str(state) if state else "",
    )
    command = [sys.executable, "-P", "-m", "worker.sandbox", "--greet"]
    command += ["--host", host, "--port", str(port), "--config", config.to_json()]
    from worker.cli.crew import child_environ  # noqa: PLC0415

    os.execve(sys.executable, command, child_environ({}))  # noqa: S606 - the same program, as its own module


def faults_of(given: list[str]) -> Faults:
    """Return the faults that were asked for, or end the command with the names there are."""
    from dataclasses import fields, replace  # noqa: PLC0415

    from worker.sandbox.changes import BadChange, fault_changes  # noqa: PLC0415
    from worker.sandbox.config import Faults  # noqa: PLC0415

    faults = Faults()
    defaults = {item.name: item.default for item in fields(Faults)}
    for text in given:
        name, _, share = text.partition("=")
        if name not in defaults:
            stop(f"--fault {name}: there is no such fault; `stagecrew sandbox --list-faults` says which there are")
        try:
            faults = replace(faults, **fault_changes({name: _value(defaults[name], share)}))
        except BadChange as error:
            stop(f"--fault {text}: {error}")
        except ValueError:
            stop(f"--fault {text}: {share!r} is no number")
    return faults


def fates_of(given: Sequence[str]) -> tuple[Rule, ...]:
    """Return the fates that were chosen, or end the command with those that there are."""
    from worker.sandbox.changes import BadChange  # noqa: PLC0415
    from worker.sandbox.fates import rules_of  # noqa: PLC0415

    rules = [dict(zip(("pattern", "fate"), text.rpartition("=")[::2], strict=True)) for text in given]
    try:
        return rules_of(rules)
    except BadChange as error:
        stop(f"--fate: {error}; write PATTERN=FATE, like '*kitchen*=fails'")


def _value(default: object, text: str) -> object:
    """Return a fault's value as it was written; raises ValueError for what is no number."""
    if isinstance(default, bool):
        return text.lower() in {"", "1", "true", "on", "yes"}
    if isinstance(default, str):
        return text
    number = float(text) if text else 1.0
    return int(number) if isinstance(default, int) and number == int(number) else number


def _list() -> None:
    from dataclasses import fields  # noqa: PLC0415

    from worker.sandbox.config import Faults  # noqa: PLC0415
    from worker.sandbox.fates import Fate  # noqa: PLC0415

    kinds = {float: "share", bool: "switch", int: "number", str: "text"}
    for item in fields(Faults):
        say(f"--fault {item.name:<22} {kinds[type(item.default)]:<7} {item.metadata['means']}")
    for one in Fate:
        say(f"--fate  PATTERN={one.value:<14} {'':<7} {one.means}")
