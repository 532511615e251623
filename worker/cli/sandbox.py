"""`stagecrew sandbox`: a simulator of the Katalo API to work against; nothing is billed."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.terminal import say, stop

if TYPE_CHECKING:
    from worker.sandbox.config import Faults


def sandbox(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")] = 8900,
    speed: Annotated[float, typer.Option(min=0.01, help="How much faster than real time its clock runs.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Same seed, same durations and pictures.")] = 1,
    fault: Annotated[
        list[str] | None, typer.Option(metavar="NAME=SHARE", help="A fault and its share, like errors_500=0.05.")
    ] = None,
    reading: Annotated[str, typer.Option(help="How the contract's open points are read.")] = "newer",
    state: Annotated[Path | None, typer.Option(help="File that keeps everything over restarts.")] = None,
) -> None:
    """Run a simulator of the Katalo API in the foreground, and print what to export to use it."""
    from worker.sandbox.config import READINGS, SandboxConfig  # noqa: PLC0415 - `--help` must not wait for it

    if reading not in READINGS:
        stop(f"--reading {reading}: there is no such reading; choose one of {', '.join(READINGS)}")
    config = SandboxConfig(
        seed=seed,
        speed=speed,
        faults=faults_of(fault or []),
        readings=READINGS[reading],
        state=str(state) if state else "",
    )
    port = port or _free_port()
    lines = {
        "KATALO_BASE_URL": f"http://127.0.0.1:{port}",
        "KATALO_API_KEY": config.api_key,
        "KATALO_WEBHOOK_SECRET": config.webhook_secret,
        "STAGECREW_ALLOW_PRIVATE_HOSTS": "true",
        "STAGECREW_SPEED": f"{speed:g}",
    }
    say("# the sandbox: nothing is billed; Ctrl-C ends it. Workers need:")
    for name, value in lines.items():
        say(f"export {name}={value}")
    command = [sys.executable, "-P", "-m", "worker.sandbox", "--port", str(port), "--config", config.to_json()]
    from worker.cli.crew import child_environ  # noqa: PLC0415

    os.execve(sys.executable, command, child_environ({}))  # noqa: S606 - the same program, as its own module


def faults_of(given: list[str]) -> Faults:
    """Return the faults that were asked for, or end the command with the names there are."""
    from dataclasses import fields, replace  # noqa: PLC0415

    from worker.sandbox.config import Faults  # noqa: PLC0415

    faults = Faults()
    kinds = {item.name: type(getattr(faults, item.name)) for item in fields(Faults)}
    for text in given:
        name, _, share = text.partition("=")
        if name not in kinds:
            stop(f"--fault {name}: there is no such fault; choose one of {', '.join(kinds)}")
        try:
            number = float(share) if share else 1.0
        except ValueError:
            stop(f"--fault {text}: {share!r} is no number")
        if kinds[name] is float and not 0 <= number <= 1:
            stop(f"--fault {text}: a share is from 0 to 1")
        faults = replace(faults, **{name: kinds[name](number)})
    return faults


def _free_port() -> int:
    import socket  # noqa: PLC0415

    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
