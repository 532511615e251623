"""`stagecrew worker`: one worker process of the fleet; `celery -A worker.app worker` with our options."""

from __future__ import annotations

import os
import warnings
from typing import Annotated

import typer

from worker.cli import exits
from worker.cli.doors import settings_of


def worker(
    context: typer.Context,
    *,
    hands: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Photos it works on at once; STAGECREW_HANDS unless given.")
    ] = None,
    name: Annotated[str, typer.Option(help="Its name, completed by the host's; its process id unless given.")] = "",
) -> None:
    """Run one worker until SIGTERM or Ctrl-C; then it finishes what it is doing. Start as many as you like."""
    # The app reads its settings from the environment, so that every way to start it is the same.
    if hands is not None:
        os.environ["STAGECREW_HANDS"] = str(hands)
    settings = settings_of(context)
    # Containers run as root; Celery warns of it because of pickled messages, and ours are JSON.
    os.environ.setdefault("C_FORCE_ROOT", "1")
    warnings.filterwarnings("ignore", message=r"(?s).*superuser privileges")

    from celery.bin.celery import celery  # noqa: PLC0415 - `--help` must not wait for it

    from config.celeryconfig import threads_of  # noqa: PLC0415 - as above
    from worker.app import app  # noqa: PLC0415 - as above, and settings are read at import

    # What `app.worker_main` does, but for the exit code, which that one drops.
    celery.params[0].default = app
    code = celery.main(
        args=[
            "--quiet",
            "worker",
            *("--pool", "threads"),
            *("--concurrency", str(threads_of(settings))),
            *("--hostname", f"{name or f'stagecrew-{os.getpid()}'}@%h"),
            *("--loglevel", settings.log_level),
            "--without-mingle",
            "--without-gossip",
            "--task-events",
        ],
        standalone_mode=False,
    )
    raise typer.Exit(code or exits.OK)
