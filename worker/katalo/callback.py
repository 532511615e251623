"""Where the API sends an account's webhooks: `webhook.url` in the body of a create."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, urlsplit

#: The gateway's own route; another path of the public address is a proxy's business.
ROUTE: Final = "/webhooks/katalo"
#: `event_type` of a signed message that asks only whether webhooks arrive; the gateway notes it and nothing else.
PROBE: Final = "stagecrew.probe.v1"


def callback_url(public_url: str, account: str | None = None) -> str:
    """Return the address for `account`; None: the only account, or the default one, whose address has no name in it.

    A bare host gets the gateway's own path: a webhook sent to `/` would find nobody.
    """
    parts = urlsplit(public_url)
    path = parts.path.rstrip("/") or ROUTE
    if account is not None:
        path = f"{path}/{quote(account, safe='')}"
    return parts._replace(path=path).geturl()
