"""Logging of all processes: structlog over the standard library, JSON in fleets and pretty in a terminal.

No secret is ever written: values of telling names, API keys, bearer tokens, credentials in URLs and URLs' queries are
masked, however deep in an event they are and also in tracebacks, in our own events and in those of libraries alike.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import IO, Any, Final

import structlog

MASK: Final = "***"
#: Names whose values are never shown, whatever they hold.
_NAMES: Final = re.compile(
    r"secret|password|passwd|token|authorization|credential|cookie|signature"
    r"|^(x-)?(katalo_)?api[-_]?key$|^(access|private)_?key(_id)?$|^(redis|broker)_url$",
    re.IGNORECASE,
)
_PATTERNS: Final = (
    (re.compile(r"kat_[a-z]+_[^\s\"'<>,;)\]}]+"), f"kat_{MASK}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"), rf"\1 {MASK}"),
    # Up to the last @: a password may hold one.
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^\s/\"'<>?#]+@"), rf"\1{MASK}@"),
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s\"'<>?]*)\?[^\s\"'<>]*"), rf"\1?{MASK}"),
    # A header that AWS's library writes at DEBUG where credentials are temporary.
    (re.compile(r"(?i)(x-amz-security-token['\"]?\s*[:=]\s*b?['\"]?)[^\s'\",&]+"), rf"\1{MASK}"),
)
#: Without one of these no pattern is met: most values are names and numbers, and a line costs half.
_SUSPECT: Final = re.compile(r"kat_|://|\s")
#: Each call's or task's line of these would drown ours; with DEBUG they are wanted.
_TALKATIVE: Final = (
    "aiohttp.access", "asyncio", "botocore", "celery.app.trace", "celery.worker.strategy", "httpcore", "httpx",
)  # fmt: skip


def mask(text: str) -> str:
    """Return `text` without API keys, bearer tokens, credentials of URLs and URLs' queries."""
    if _SUSPECT.search(text) is None:
        return text
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


@lru_cache(maxsize=1024)
def _is_telling(name: str) -> bool:
    return _NAMES.search(name) is not None


def masked(value: Any, name: str = "") -> Any:
    """Return `value` with all secrets in it masked, however deep; `name` is what it is called."""
    if name and value is not None and _is_telling(name):
        return MASK
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return mask(value)
        case Mapping():
            return {str(key): masked(item, str(key)) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [masked(item) for item in value]
    return mask(str(value))


def mask_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask an event's values: a structlog processor, the last one before the renderer."""
    for name, value in event.items():
        if not name.startswith("_"):
            event[name] = masked(value, name)
    return event


def set_up(level: str, form: str, *, stream: IO[str] | None = None) -> None:
    """Send all logging to `stream` (standard error unless given), in `form`: json, pretty, or auto.

    `auto` is pretty on a terminal and JSON elsewhere. Calling it again replaces what was set up before.
    """
    out = stream or sys.stderr
    pretty = form == "pretty" or (form == "auto" and out.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        # Before the mask: a traceback may quote what must not be shown.
        structlog.processors.format_exc_info,
    ]
    last: Any = structlog.dev.ConsoleRenderer(colors=out.isatty()) if pretty else structlog.processors.JSONRenderer()
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, mask_event, last],
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(level)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(level if level == "DEBUG" else "WARNING")
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
