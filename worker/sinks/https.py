"""Completion messages by https POST, signed as Standard Webhooks has it; public addresses only unless allowed.

The body is the CloudEvent itself (structured mode). `webhook-id` is the event's id, `webhook-timestamp` the time of
this try by Redis's clock, `webhook-signature` one `v1,` signature a secret over `id.timestamp.body`. Redirects are not
followed. 2xx is taken as received; 4xx that say "never this message" make it a dead letter at once; everything else is
tried again.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import socket
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import aiohttp

from config.sinks import SinkAddress
from worker import __version__
from worker.core.delivery import DELIVERED, LONGEST_MS, Outcome, down, refused, retry
from worker.katalo.retry_after import retry_after_s
from worker.ledger.outbox import Letter
from worker.sinks.sink import DEADLINE_S
from worker.storage.public import PublicResolver, Refused, cause_of, check_address, connector
from worker.storage.web import CONNECT_S

#: A receiver that is slow holds up so many listings at most.
CALLS: Final = 16
#: Answers that say that this message, as it is, will never be taken.
FINAL: Final = frozenset({400, 405, 406, 411, 413, 414, 415, 422, 431})
#: "Do not send here any more": tried again once an hour, in case it was said by mistake, or of one listing only.
GONE: Final = 410
TOO_MANY: Final = 429
UNAVAILABLE: Final = 503
#: What to do about some answers.
_HINTS: Final = {
    **dict.fromkeys((301, 302, 303, 307, 308), ", a redirect, which is not followed; name the last address"),
    **dict.fromkeys((401, 403), "; check that it has this sink's secret"),
    404: "; check the address",
}


class HttpsSink:
    """One endpoint; one session, opened at first use."""

    name: Final[str]
    batch: Final = 1
    calls: Final = CALLS

    def __init__(self, address: SinkAddress, *, secrets: Sequence[bytes], allow_private_hosts: bool) -> None:
        """`secrets`: all of them sign, so that a receiver may go from one to the next."""
        self.name = address.name
        self._url = address.target
        self._secrets = tuple(secrets)
        self._allow_private = allow_private_hosts
        self._session: aiohttp.ClientSession | None = None

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, letters: Sequence[Letter]) -> list[Outcome]:
        """Deliver each message by a call of its own; return what became of each."""
        return [await self._post(letter) for letter in letters]

    async def check(self) -> Outcome:
        """Return whether the endpoint's host takes connections; nothing is sent."""
        try:
            address = check_address(self._url, allow_private=self._allow_private)
            host, tls = address.host or "", address.scheme == "https"
            async with asyncio.timeout(CONNECT_S):
                at = host
                if not self._allow_private:
                    # The address that was checked is the one that is connected to.
                    at = (await PublicResolver().resolve(host, family=socket.AF_UNSPEC))[0]["host"]
                _, writer = await asyncio.open_connection(
                    at, address.port, ssl=tls, server_hostname=host if tls else None
                )
            writer.close()
        except (OSError, TimeoutError, Refused) as error:
            return down(_why(error))
        return DELIVERED

    async def _post(self, letter: Letter) -> Outcome:
        try:
            address = check_address(self._url, allow_private=self._allow_private)
            async with (
                asyncio.timeout(DEADLINE_S),
                self._open().post(
                    address, data=letter.event.encode(), headers=self._headers(letter), allow_redirects=False
                ) as response,
            ):
                return outcome_of(response.status, response.headers.get("Retry-After"), now_ms=letter.now_ms)
        except (aiohttp.ClientConnectorError, Refused) as error:
            # Nobody was reached, so nothing is known of the message.
            return down(_why(error))
        except TimeoutError:
            return retry(f"no answer within {DEADLINE_S:.0f} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            refused_here = cause_of(error)
            return down(_why(refused_here)) if refused_here is not None else retry(_why(error))

    def _headers(self, letter: Letter) -> dict[str, str]:
        message_id, timestamp = letter.event_id, str(letter.now_ms // 1000)
        return {
            "Content-Type": "application/cloudevents+json; charset=utf-8",
            "webhook-id": message_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": " ".join(
                signature(secret, message_id, timestamp, letter.event) for secret in self._secrets
            ),
        }

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=connector(allow_private=self._allow_private, limit=self.calls),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
                trust_env=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": f"stagecrew/{__version__}"},
            )
        return self._session


def signature(secret: bytes, message_id: str, timestamp: str, body: str) -> str:
    """Return one signature of Standard Webhooks: `v1,` and the HMAC-SHA-256 of `id.timestamp.body` in base64."""
    signed = hmac.new(secret, f"{message_id}.{timestamp}.{body}".encode(), hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


def outcome_of(status: int, retry_after: str | None, *, now_ms: int) -> Outcome:
    """Return what a receiver's answer means for the message, and for the sink."""
    asked_s = retry_after_s(retry_after, now=datetime.fromtimestamp(now_ms / 1000, UTC)) or 0
    wait_ms = int(asked_s * 1000)
    said = f"the receiver answered {status}"
    if 200 <= status < 300:  # noqa: PLR2004 - HTTP's success
        return DELIVERED
    if status in FINAL:
        return refused(f"{said}: it refuses this message")
    if status == GONE:
        return retry(f"{said}: it wants no such messages any more; change or remove the sink", LONGEST_MS)
    if status == TOO_MANY or (status == UNAVAILABLE and wait_ms):
        return down(f"{said}: it wants to be left alone for a while", wait_ms)
    return retry(f"{said}{_HINTS.get(status, '')}", wait_ms)


def _why(error: BaseException | None) -> str:
    """Return the kind of trouble; the layers below may quote URLs."""
    match error:
        case Refused():
            return f"it is not called: {error}"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError() | ssl.SSLError():
            return "its certificate is not accepted"
        case aiohttp.ClientConnectorDNSError():
            return "its host has no address"
        case ConnectionRefusedError() | aiohttp.ClientConnectorError():
            return "it can't be reached"
        case TimeoutError():
            return f"no connection within {CONNECT_S:.0f} s"
    return f"the connection failed ({type(error).__name__})"
