"""What a sandbox says of itself when it is ready: for the program that started it, or for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.sandbox.config import SandboxConfig


def for_programs(base_url: str, config: SandboxConfig) -> str:
    """Return one line of JSON: base_url, api_key, webhook_secret."""
    ready = {"base_url": base_url, "api_key": config.api_key, "webhook_secret": config.webhook_secret}
    return json.dumps(ready)


def for_people(base_url: str, config: SandboxConfig, *, loopback: bool) -> str:
    """Return the lines: what it is, where its page is, and what to export; all but the exports are shell comments."""
    lines = [
        "# Sandbox of the Katalo API: nothing is billed. Ctrl-C ends it.",
        f"# page: {base_url}/ (jobs, budgets, bill; faults, fates and the clock to change)",
        f"# API:  {base_url}/api/v1, with the header Authorization: Bearer {config.api_key}",
        "# webhooks: to webhook.url of each job, signed with KATALO_WEBHOOK_SECRET",
    ]
    if not loopback:
        lines += [
            "# WARNING: it listens beyond this machine. It is not for the internet: its key is no secret, its page",
            "# has no password, and it sends webhooks to any address that a job names.",
        ]
    exports = {
        "KATALO_BASE_URL": base_url,
        "KATALO_API_KEY": config.api_key,
        "KATALO_WEBHOOK_SECRET": config.webhook_secret,
        "STAGECREW_ALLOW_PRIVATE_HOSTS": "true",
        "STAGECREW_SPEED": f"{config.speed:g}",
    }
    return "\n".join([*lines, *(f"export {name}={value}" for name, value in exports.items())])
