"""What the address of a Redis looks like: told when settings are read, instead of by whoever tries to connect."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

_SCHEMES: Final = frozenset({"redis", "rediss", "unix"})


def redis_address(text: str) -> str:
    """Return an address that can be connected to. Raises ValueError, which never quotes it: it may hold a password."""
    parts = urlsplit(text)
    if parts.scheme not in _SCHEMES:
        message = "it must begin with redis://, rediss:// or unix://"
        raise ValueError(message)
    if parts.scheme != "unix" and not (_port_can_be(text) and re.fullmatch(r"/?\d*", parts.path)):
        message = (
            "it is no address like rediss://user:password@host:6379/0; write /, ?, # and @ of a password as %2F, %3F, "
            "%23 and %40"
        )
        raise ValueError(message)
    return text


def _port_can_be(text: str) -> bool:
    try:
        _ = urlsplit(text).port
    except ValueError:
        return False
    return True
