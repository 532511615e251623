"""`stagecrew worker` and `stagecrew sandbox`: the processes."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer


def worker(
    *,
    hands: Annotated[int | None, typer.Option(min=1, help="Photos worked on at once; STAGECREW_HANDS unless given.")] = None,
    name: Annotated[str, typer.Option(help="The worker's name, one of a kind in the fleet.")] = "",
) -> None:
    """Run one worker process: pool, dispatcher and all, from settings alone."""
    if hands is not None:
        os.environ["STAGECREW_HANDS"] = str(hands)
    # Celery warns of running as root because pickled messages could then do harm; ours are JSON only.
    os.environ.setdefault("C_FORCE_ROOT", "1")

    from worker.app import app, settings  # noqa: PLC0415 - settings are read at import

    options = ["--without-mingle", "--without-gossip", "--loglevel", settings.log_level, "--quiet"]
    app.worker_main(["worker", *options, "-n", name or f"stagecrew-{os.getpid()}@%h"])


def sandbox(
    *,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 8900,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    speed: Annotated[float, typer.Option(help="How many times faster than real time its clock runs.")] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same fates.")] = 1,
    fault: Annotated[list[str] | None, typer.Option(help="NAME=SHARE, such as errors_500=0.05.")] = None,
    reading: Annotated[str, typer.Option(help="How the contract's open points are read.")] = "newer",
    state: Annotated[str, typer.Option(help="SQLite file that keeps everything over restarts.")] = "",
) -> None:
    """Serve a simulator of the Katalo API, for trying and testing without a key and without cost."""
    import json  # noqa: PLC0415

    from worker.cli.output import fail  # noqa: PLC0415
    from worker.sandbox.config import READINGS, Faults, SandboxConfig  # noqa: PLC0415

    if reading not in READINGS:
        fail(f"--reading is one of {', '.join(READINGS)}")
    try:
        faults = Faults(**{name: json.loads(share) for name, _, share in (text.partition("=") for text in fault or ())})
    except (TypeError, ValueError):
        fail(f"--fault is NAME=SHARE with one of {', '.join(Faults.__slots__)}")
    config = SandboxConfig(speed=speed, seed=seed, faults=faults, readings=READINGS[reading], state=state)
    # An exec, so that signals reach the server itself.
    command = [sys.executable, "-m", "worker.sandbox", "--host", host, "--port", str(port), "--config", config.to_json()]
    typer.echo(
        f"sandbox of the Katalo API, clock x {speed:g}; its page: http://{host}:{port}/\n"
        f"  export KATALO_BASE_URL=http://{host}:{port}\n"
        f"  export KATALO_API_KEY={config.api_key}\n"
        f"  export KATALO_WEBHOOK_SECRET={config.webhook_secret}\n"
        f"  export STAGECREW_ALLOW_PRIVATE_HOSTS=true STAGECREW_SPEED={speed:g}"
    )
    sys.stdout.flush()
    os.execv(sys.executable, command)  # noqa: S606 - our own module
