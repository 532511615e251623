"""The doctor's probe of webhooks: the way that the API takes, with a signed message that changes nothing.

It is sent to the public address, as the API would, signed with the account's secrets, and has to be taken by our own
gateway; then once signed wrongly, and has to be refused. The gateway counts both (`probe`, `refused`).
"""

from __future__ import annotations

import json
import secrets as random_names
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from worker.cli.finding import Check, Finding, bad, note, ok
from worker.logs import mask

if TYPE_CHECKING:
    import httpx

#: Until the gateway has to have answered, in seconds; the API's own patience is unknown.
ANSWER_S: Final = 10.0
_GATEWAY: Final = "does the proxy pass POST on to `stagecrew gateway` unchanged?"


async def webhooks(public_url: str | None, secrets: Sequence[str]) -> list[Finding]:
    """Check that webhooks arrive and that only ours are taken; nothing is said where neither is set."""
    if public_url is None:
        if not secrets:
            return []
        text = "a secret is set, but no job asks for them"
        return [note(Check.WEBHOOKS, text, "set STAGECREW_WEBHOOK_PUBLIC_URL, see docs/webhooks.md")]
    import httpx  # noqa: PLC0415 - `--help` must not wait for it

    try:
        async with httpx.AsyncClient(timeout=ANSWER_S, follow_redirects=False) as client:
            return await _probed(client, public_url, secrets)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        text = f"{mask(public_url)} can't be reached from here ({mask(str(error)) or type(error).__name__})"
        return [bad(Check.WEBHOOKS, text, "check name, certificate and proxy, and that `stagecrew gateway` runs")]


async def _probed(client: httpx.AsyncClient, url: str, secrets: Sequence[str]) -> list[Finding]:
    where, found = mask(url), []
    for number, secret in enumerate(secrets, 1):
        which = f"secret {number} of {len(secrets)}" if len(secrets) > 1 else "the secret"
        if (trouble := _refused(await _send(client, url, secret), where, which)) is not None:
            return [trouble]
    forged = await _send(client, url, random_names.token_hex(16))
    if forged.is_success:
        text = f"{where} takes messages that nobody signed"
        found.append(bad(Check.WEBHOOKS, text, "it is not our gateway that answers there: look at the proxy"))
    elif not secrets:
        text = f"{where} answers {forged.status_code}; without a secret here no more can be said"
        found.append(
            note(Check.WEBHOOKS, text, "set KATALO_WEBHOOK_SECRET here too, as where `stagecrew gateway` runs")
        )
    elif forged.status_code != 401:  # noqa: PLR2004
        text = f"{where} answers {forged.status_code} to a wrong signature, and should answer 401"
        found.append(bad(Check.WEBHOOKS, text, _GATEWAY))
    else:
        found.append(ok(Check.WEBHOOKS, f"{where} takes what is signed and refuses the rest"))
    return found


def _refused(answer: httpx.Response, where: str, which: str) -> Finding | None:
    """Return what is wrong with the answer to a rightly signed probe; None when nothing is."""
    status = answer.status_code
    if answer.is_success:
        # A gateway of an older release does not know the probe, and says that it names no job.
        if _outcome(answer) in {"probe", "ignored"}:
            return None
        return bad(Check.WEBHOOKS, f"{where} answers {status}, but it is not our gateway that does", _GATEWAY)
    if status == 401:  # noqa: PLR2004
        remedy = "set the same KATALO_WEBHOOK_SECRET there, or let the proxy leave bodies as they are"
        return bad(Check.WEBHOOKS, f"{where} does not know {which} that is set here (401)", remedy)
    if answer.is_redirect:
        return bad(Check.WEBHOOKS, f"{where} redirects ({status}); the API does not follow", "name the address itself")
    if status == 503:  # noqa: PLR2004
        text = f"{where} can't store webhooks now (503)"
        return bad(Check.WEBHOOKS, text, "look at the gateway's log, its Redis and its KATALO_WEBHOOK_SECRET")
    return bad(Check.WEBHOOKS, f"{where} answers {status} to a webhook", _GATEWAY)


async def _send(client: httpx.AsyncClient, url: str, secret: str) -> httpx.Response:
    from worker.gateway.webhooks import HEADER  # noqa: PLC0415 - as above
    from worker.katalo.callback import PROBE  # noqa: PLC0415
    from worker.katalo.signature import sign  # noqa: PLC0415

    body = json.dumps({"event_type": PROBE, "probe": random_names.token_hex(8)}).encode()
    headers = {HEADER: sign(body, secret), "Content-Type": "application/json"}
    return await client.post(url, content=body, headers=headers)


def _outcome(answer: httpx.Response) -> object:
    try:
        found = answer.json()
    except ValueError:
        return None
    return found.get("outcome") if isinstance(found, dict) else None
