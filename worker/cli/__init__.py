"""The command line, one command a file. Imports of a command are its own, so that `stagecrew --help` stays fast."""

from __future__ import annotations

from typing import Final

import typer

from worker.cli.bench import bench
from worker.cli.cancel import cancel
from worker.cli.doctor import doctor
from worker.cli.enqueue import enqueue
from worker.cli.exits import EPILOG
from worker.cli.failed import failed
from worker.cli.forecast import forecast
from worker.cli.gallery import gallery
from worker.cli.gateway import gateway
from worker.cli.pause import pause, resume
from worker.cli.purge import purge
from worker.cli.reconcile import reconcile
from worker.cli.regenerate import regenerate
from worker.cli.replay import replay
from worker.cli.resolve import resolve
from worker.cli.run import run
from worker.cli.sandbox import sandbox
from worker.cli.status import status
from worker.cli.usage import usage
from worker.cli.watch import watch
from worker.cli.worker import worker

app: Final = typer.Typer(
    name="stagecrew",
    help="Has property photos virtually staged by the Katalo API, each exactly once.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (run, enqueue, status, watch, forecast, worker, gateway, sandbox, doctor, failed, replay):
    app.command(epilog=EPILOG)(_command)
for _command in (regenerate, cancel, pause, resume):
    app.command(epilog=EPILOG)(_command)
for _about_money in (usage, reconcile, resolve, purge):
    app.command(epilog=EPILOG)(_about_money)
app.command(epilog=EPILOG)(gallery)
app.command(epilog=EPILOG)(bench)


def main() -> None:
    """Run the command line; the console script `stagecrew`."""
    app(prog_name="stagecrew")
