"""The release before this one, unpacked from its wheel: half of a mixed fleet runs it."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Final

_WHEELS: Final = Path(__file__).parents[1] / "tests" / "releases"


def newest_release() -> Path:
    """Return the wheel of the newest release that is kept. Raises FileNotFoundError when none is."""
    wheels = sorted(
        _WHEELS.glob("stagecrew-*.whl"), key=lambda path: [int(part) for part in path.name.split("-")[1].split(".")]
    )
    if not wheels:
        message = f"no wheel of an earlier release in {_WHEELS}"
        raise FileNotFoundError(message)
    return wheels[-1]


def unpacked(wheel: Path, folder: Path) -> Path:
    """Unpack a wheel and return the folder that its packages are imported from."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder
