"""`POST /webhooks/katalo[/{account}]`: the API's webhooks, answered with success only when Redis has them.

| answer | when | what the sender should do |
|---|---|---|
| 200 | stored, applied or known already | nothing |
| 400 | signed, but no JSON object | nothing: it would be the same again |
| 401 | no secret of any account signed it | nothing; it is counted, and polling makes up for it |
| 413 | larger than a webhook can be; the rest is not read | nothing |
| 503 | Redis is away, no secret is set, any trouble of ours, a body too slow, or too many at once | send it again |

The signature is checked over the raw bytes, in constant time, before anything is parsed. It decides whose webhook it
is: the account in the path is only where the search begins, so that a wrong or stale path loses nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from config.accounts import DEFAULT
from worker.katalo.callback import PROBE, ROUTE
from worker.katalo.notice import UnreadableNotice, notice_of
from worker.katalo.signature import verify
from worker.ledger.inbox import Outcome

if TYPE_CHECKING:
    from worker.gateway.state import Gateway

logger = logging.getLogger(__name__)

HEADER: Final = "x-katalo-signature"
#: Webhooks are small and made for correlation (contract, section 6); a few signed URLs are some thousand bytes.
MAX_BYTES: Final = 256 * 1024
#: Until a body must have come, in seconds: a sender that dribbles holds nothing for ever.
BODY_S: Final = 20.0
#: Of all bodies together that are here at once: nobody is known by his signature before his body is whole.
MOST_HELD_BYTES: Final = 32 * 1024 * 1024
#: Until storing counts as failed, in seconds: the sender's patience is unknown, and it sends again.
STORE_S: Final = 4.0
#: Webhooks that are being stored at once: each takes a connection to Redis.
AT_ONCE: Final = 32
#: Refusals are logged at most this often, in seconds: whoever sends forged ones does not fill the log.
LOG_S: Final = 10.0
_AGAIN: Final = {"Retry-After": "5"}
#: What is left of a body that is too large or too slow is not read, so the connection can't be used again.
_CLOSE: Final = {"Connection": "close"}


class Webhooks:
    """The route's state: how many are being stored, and when a refusal was last logged."""

    def __init__(self, gateway: Gateway, *, body_s: float = BODY_S, most_held_bytes: int = MOST_HELD_BYTES) -> None:
        """Nothing is opened. `body_s`: until a body must have come; `most_held_bytes`: of all bodies at once."""
        self._gateway = gateway
        self._body_s = body_s
        self._most_held_bytes = most_held_bytes
        self._held_bytes = 0
        self._storing = asyncio.Semaphore(AT_ONCE)
        self._logged_s = float("-inf")
        self._unlogged = 0

    async def __call__(self, request: Request) -> Response:
        """Answer one webhook."""
        body = bytearray()
        try:
            return await self._answer(request, body)
        except (RedisError, OSError, TimeoutError) as error:
            logger.warning("webhook not stored", extra={"reason": type(error).__name__})
        except ClientDisconnect:
            # Nobody is there to read the answer; it was not stored, so it comes again.
            return Response(status_code=400)
        except Exception:
            logger.exception("webhook not taken in")
        finally:
            self._held_bytes -= len(body)
        return _refusal(503, "it could not be stored now; send it again", _AGAIN)

    async def _answer(self, request: Request, read: bytearray) -> Response:  # noqa: PLR0911 - one answer a row of the table above
        named = request.path_params.get("account", DEFAULT)
        try:
            async with asyncio.timeout(self._body_s):
                is_small = await self._read(request, read)
        except TimeoutError:
            return _refusal(503, f"the body did not come within {self._body_s:g} s", _AGAIN | _CLOSE)
        if self._held_bytes > self._most_held_bytes:
            return _refusal(503, "too many bodies are being read; send it again", _AGAIN | _CLOSE)
        if not is_small:
            await self._count(named, Outcome.TOO_LARGE)
            return _refusal(413, f"a webhook has at most {MAX_BYTES} bytes", _CLOSE)
        body = bytes(read)
        secrets = self._gateway.secrets()
        account = _signed_by(body, request.headers.get(HEADER), secrets, named)
        if account is None:
            if named in secrets and not secrets[named]:
                return _refusal(503, "this gateway has no webhook secret yet", _AGAIN)
            await self._count(named, Outcome.REFUSED)
            self._log_refusal(named, len(body))
            return _refusal(401, f"{HEADER} does not sign this body with any secret that is known here")
        try:
            notice = notice_of(body)
        except UnreadableNotice as error:
            await self._count(account, Outcome.UNREADABLE)
            logger.warning("signed webhook can't be read", extra={"account": account, "reason": str(error)})
            return _refusal(400, f"the body is not a webhook: {error}")
        if notice.event_type == PROBE:
            # That one could be stored is all it asks: it is no news of a job, and does not say that webhooks come.
            async with asyncio.timeout(STORE_S), self._storing:
                await self._gateway.accounts[account].inbox.count(Outcome.PROBE)
            return JSONResponse({"outcome": Outcome.PROBE.value, "account": account})
        async with asyncio.timeout(STORE_S), self._storing:
            outcome = await self._gateway.accounts[account].inbox.take(notice)
        logger.debug("webhook", extra={"account": account, "job": notice.job_id, "outcome": outcome.value})
        return JSONResponse({"outcome": outcome.value})

    async def _read(self, request: Request, body: bytearray) -> bool:
        """Read the raw body; False when it is too large. No more is read than it, and all together, may have."""
        declared = request.headers.get("content-length", "0")
        if declared.isdecimal() and (len(declared) > len(str(MAX_BYTES)) or int(declared) > MAX_BYTES):
            return False
        async for chunk in request.stream():
            body += chunk
            self._held_bytes += len(chunk)
            if len(body) > MAX_BYTES or self._held_bytes > self._most_held_bytes:
                break
        return len(body) <= MAX_BYTES

    async def _count(self, named: str, outcome: Outcome) -> None:
        accounts = self._gateway.accounts
        account = accounts.get(named) or next(iter(accounts.values()))
        try:
            async with asyncio.timeout(STORE_S), self._storing:
                await account.inbox.count(outcome)
        except (RedisError, OSError, TimeoutError) as error:
            # What is wrong with the webhook does not depend on whether it could be counted.
            logger.warning("webhook not counted", extra={"outcome": outcome.value, "reason": type(error).__name__})

    def _log_refusal(self, named: str, size: int) -> None:
        self._unlogged += 1
        if time.monotonic() - self._logged_s < LOG_S:
            return
        logger.warning(
            "webhooks refused: not signed with a secret known here",
            extra={"refused": self._unlogged, "account_in_path": named[:64], "size_bytes": size},
        )
        self._logged_s, self._unlogged = time.monotonic(), 0


def routes(gateway: Gateway) -> list[Route]:
    """Return the webhook routes, with and without an account, with and without a last slash."""
    webhooks = Webhooks(gateway)

    async def endpoint(request: Request) -> Response:
        return await webhooks(request)

    paths = (ROUTE, f"{ROUTE}/", f"{ROUTE}/{{account}}", f"{ROUTE}/{{account}}/")
    return [Route(path, endpoint, methods=["POST"]) for path in paths]


def _signed_by(body: bytes, header: str | None, secrets: Mapping[str, tuple[str, ...]], named: str) -> str | None:
    """Return the account whose secret signs `body`: the named one first."""
    order = sorted(secrets, key=lambda account: account != named)
    return next((account for account in order if verify(body, header, secrets[account])), None)


def _refusal(status: int, reason: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": reason}, status, headers)
