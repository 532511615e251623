"""What the figures were measured on: cores and versions, no names and no dates."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from typing import Final

import worker
from worker.embedded.redis_server import server_binary

PACKAGES: Final = ("celery", "redis", "httpx", "aiohttp")


def machine() -> str:
    """Return one paragraph about the machine and the versions."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{os.cpu_count()} cores ({platform.machine()}, {platform.system()}), which the contender, the simulated API "
        f"and Redis share; Python {platform.python_version()}, {_server()}, {packages}, stagecrew "
        f"{worker.__version__}."
    )


def _server() -> str:
    said = subprocess.run(  # noqa: S603 - a server's version
        [str(server_binary()), "--version"], capture_output=True, text=True, check=True
    ).stdout
    words = said.replace("=", " ").split()
    return f"{words[0]} {words[words.index('v') + 1]}"
