"""Logging of all processes: structlog over the standard library, JSON in fleets and pretty in a terminal.

No secret is ever written: values of telling names, API keys, passwords in URLs and URLs' queries are masked, in our own
events and in those of libraries alike.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

MASK: Final = "***"
_NAMES: Final = re.compile(r"secret|token|password|authorization|api_key|signature", re.IGNORECASE)
_KEYS: Final = re.compile(r"kat_[a-z]+_[A-Za-z0-9._-]+")
_QUERIES: Final = re.compile(r"((?:https?|s3|file)://[^\s\"'<>?]+)\?[^\s\"'<>]*")
_PASSWORDS: Final = re.compile(r"([a-z+]+://)[^\s/@\"']*@")


def mask(text: str) -> str:
    """Return `text` without API keys, passwords of URLs and URLs' queries."""
    return _PASSWORDS.sub(rf"\1{MASK}@", _QUERIES.sub(rf"\1?{MASK}", _KEYS.sub(f"kat_{MASK}", text)))


def mask_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask an event's values: a structlog processor."""
    for name, value in event.items():
        if name.startswith("_"):
            continue
        if _NAMES.search(name):
            event[name] = MASK
        elif isinstance(value, str):
            event[name] = mask(value)
        elif isinstance(value, list | tuple | dict | set):
            event[name] = mask(repr(value))
    return event


def set_up(level: str, form: str) -> None:
    """Send all logging to standard error, in `form`: json, pretty, or auto (pretty on a terminal)."""
    pretty = form == "pretty" or (form == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.format_exc_info,
        mask_event,
    ]
    last = structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer()
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, mask_event, last]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(level)
    # Each call's line of these would drown ours.
    for name in ("httpx", "httpcore", "aiohttp.access", "celery.worker.strategy", "celery.app.trace", "botocore"):
        logging.getLogger(name).setLevel(logging.WARNING)
