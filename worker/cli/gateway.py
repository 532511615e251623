"""`stagecrew gateway`: the HTTP side of a fleet: webhooks of the API, health and metrics."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.doors import settings_of
from worker.cli.terminal import complain, say, stop


def gateway(
    context: typer.Context,
    *,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; STAGECREW_GATEWAY_HOST (127.0.0.1) unless given.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port; STAGECREW_GATEWAY_PORT (8080) unless given.")
    ] = None,
) -> None:
    """Take in the API's webhooks and other programs' records (/v1, /docs), until SIGTERM or Ctrl-C."""
    settings = settings_of(context)
    from config.accounts import accounts_of  # noqa: PLC0415
    from worker import logs  # noqa: PLC0415 - `--help` must not wait for it
    from worker.gateway.server import serve  # noqa: PLC0415
    from worker.katalo.callback import ROUTE  # noqa: PLC0415

    logs.set_up(settings.log_level, settings.log_format)
    accounts = accounts_of(settings)
    if bare := [name for name, account in accounts.items() if not account.webhook_secrets]:
        which = "no KATALO_WEBHOOK_SECRET" if len(accounts) == 1 else f"no webhook secret for {', '.join(bare)}"
        complain(f"{which}: webhooks are answered 503 until there is one; jobs are read without them")
    elif settings.webhook_public_url is None:
        complain("no STAGECREW_WEBHOOK_PUBLIC_URL: only a default callback in the dashboard brings webhooks")
    if settings.intake_tokens is None:
        complain("no STAGECREW_INTAKE_TOKENS: records over HTTP are answered 403 until there is one")
    where = host or settings.gateway_host
    listening = settings.gateway_port if port is None else port
    try:
        serve(
            settings,
            host=where,
            port=listening,
            ready=lambda url: say(f"gateway: {url}{ROUTE}, {url}/docs, {url}/metrics"),
        )
    except OSError as error:
        why = error.strerror or error
        stop(f"the gateway can't listen on {where}:{listening}: {why}; choose another --host or --port")
