"""Whether this checkout has the gateway that receives webhooks."""

from __future__ import annotations

from importlib.util import find_spec


def has_gateway() -> bool:
    """Say whether `stagecrew gateway` can be started."""
    return find_spec("worker.cli.gateway") is not None
