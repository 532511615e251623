"""Earlier releases: unpacked for a test, and run by the environment's Python in the place of the current code."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
#: The release that a fleet is upgraded from, and rolled back to.
PREVIOUS: Final = "0.2.0"


def unpacked(folder: Path, version: str = PREVIOUS) -> Path:
    """Unpack a release below `folder`; return the place to import it from."""
    place = folder / f"stagecrew-{version}"
    with zipfile.ZipFile(HERE / f"stagecrew-{version}-py3-none-any.whl") as wheel:
        wheel.extractall(place)
    return place


def environ_of(place: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which Python imports the release, not the current code, wherever it is started."""
    found = {**environ, "PYTHONPATH": str(place), "PYTHONSAFEPATH": "1"}
    asked = [
        sys.executable,
        "-c",
        "import config, tasks, worker; print(config.__file__, tasks.__file__, worker.__file__)",
    ]
    shown = subprocess.run(asked, env=found, capture_output=True, text=True, check=True).stdout.split()
    assert all(file.startswith(f"{place}{os.sep}") for file in shown), f"another release is imported: {shown}"
    return found
