"""TLS to Redis: the same for the ledger and for a broker on Redis, by `rediss://` and three files.

The server's certificate is always checked, name included; what a URL says itself in its query (`ssl_ca_certs=...`)
wins. Without `STAGECREW_REDIS_CA_FILE` the system's authorities are trusted.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, Field

if TYPE_CHECKING:
    from config.settings import Settings

_SCHEME: Final = "rediss"


def _readable(value: Path | None) -> Path | None:
    if value is not None:
        try:
            with value.open("rb") as file:
                file.read(1)
        except OSError as error:
            message = f"{value} can't be read ({error.strerror}); give a PEM file that is there"
            raise ValueError(message) from None
    return value


RedisCaFile = Annotated[
    Path | None,
    AfterValidator(_readable),
    Field(
        description="PEM file of the authority that signed Redis's certificate, for `rediss://`; the system's "
        "authorities unless set. Holds for a broker on Redis too, like the next two."
    ),
]
RedisCertFile = Annotated[
    Path | None,
    AfterValidator(_readable),
    Field(description="PEM file of this fleet's own certificate, where Redis asks for one."),
]
RedisKeyFile = Annotated[
    Path | None,
    AfterValidator(_readable),
    Field(description="PEM file of that certificate's key, unless it is in the same file."),
]


def redis_options(settings: Settings) -> dict[str, Any]:
    """Return what redis-py needs besides the ledger's URL; nothing without TLS."""
    return _options(settings) if urlsplit(settings.redis_url_text).scheme == _SCHEME else {}


def broker_options(settings: Settings) -> dict[str, Any] | None:
    """Return Celery's `broker_use_ssl`; None without TLS, for other brokers, and where the URL says it all."""
    parts = urlsplit(settings.broker_url_text)
    if parts.scheme != _SCHEME or any(name.startswith("ssl_") for name in parse_qs(parts.query)):
        return None
    return {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True, **_options(settings)}


def _options(settings: Settings) -> dict[str, Any]:
    files = {
        "ssl_ca_certs": settings.redis_ca_file,
        "ssl_certfile": settings.redis_cert_file,
        "ssl_keyfile": settings.redis_key_file,
    }
    return {name: str(path) for name, path in files.items() if path is not None}
