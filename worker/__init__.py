"""The application: everything between the queue and the API."""

from __future__ import annotations

from typing import Final

#: The release; also in `pyproject.toml`, held by a test.
__version__: Final = "0.3.0"
