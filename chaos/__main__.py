"""`python -m chaos`: stages thousands of photos while everything around the fleet fails, and holds the books."""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
import time
from pathlib import Path

from chaos.plan import Fault
from chaos.releases import newest_release, unpacked
from chaos.report import report
from chaos.run import Task, run


def main() -> int:
    """Run once; the exit code is 0 when every promise held."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="all choices follow from it; drawn unless given")
    parser.add_argument("--photos", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=10)
    parser.add_argument("--minutes", type=float, default=60.0, help="strikes by chance go on for so long at most")
    parser.add_argument("--faults", default="", help=f"of the script, by commas; all unless given: {', '.join(Fault)}")
    parser.add_argument("--one-release", action="store_true", help="no worker of the release before")
    parser.add_argument("--moto", action="store_true", help="moto's S3 instead of the quick one")
    parser.add_argument("--keep", type=Path, default=None, help="folder for what the run leaves; removed unless given")
    given = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    faults = [Fault(name) for name in given.faults.split(",") if name] or list(Fault)
    began_s = time.monotonic()

    def say(text: str) -> None:
        sys.stdout.write(f"{time.monotonic() - began_s:7.1f} s  {text}\n")
        sys.stdout.flush()

    with tempfile.TemporaryDirectory(prefix="stagecrew-chaos-") as made:
        folder = given.keep or Path(made)
        task = Task(
            seed=seed,
            photos=given.photos,
            workers=given.workers,
            minutes=given.minutes,
            faults=faults,
            quick_store=not given.moto,
            earlier=None if given.one_release else unpacked(newest_release(), folder / "earlier"),
        )
        outcome = run(task, folder, say)
    sys.stdout.write(report(task, outcome))
    return 0 if outcome.holds else 1


if __name__ == "__main__":
    sys.exit(main())
