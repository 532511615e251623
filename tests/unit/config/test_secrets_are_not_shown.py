"""Nothing that holds a secret shows it: not by its repr, nor in a traceback that prints local variables."""

from __future__ import annotations

import asyncio
import io

from rich.console import Console
from rich.traceback import Traceback

from config.settings import load_settings
from worker.services import open_services
from worker.sinks.opening import open_sinks

SECRETS = {
    "KATALO_API_KEY": "kat_live_abc.first-secret-of-all",
    "KATALO_WEBHOOK_SECRET": "second-secret-of-all",
    "STAGECREW_REDIS_URL": "redis://user:third-secret-of-all@127.0.0.1:1/0",
    "STAGECREW_BROKER_URL": "redis://user:fourth-secret-of-all@127.0.0.1:1/0",
    "STAGECREW_INTAKE_TOKENS": "fifth-secret-of-all-tokens",
    "STAGECREW_MESSAGE_KEY": "sixth-secret-of-all-keys",
    "STAGECREW_FLOWER_AUTH": "user:seventh-secret-of-all",
    "STAGECREW_COMPLETIONS_URL": "https://user:eighth-secret-of-all@hooks.example.com/?token=ninth-secret-of-all",
    "STAGECREW_COMPLETIONS_SECRET": "tenth-secret-of-all",
}


def test_no_object_that_holds_a_secret_shows_it(tmp_path: object) -> None:
    settings = load_settings({**SECRETS, "STAGECREW_STORAGE_URL": f"file://{tmp_path}/output"})
    out = io.StringIO()

    async def live() -> None:
        async with open_services(settings) as services, open_sinks(settings) as sinks:
            client, store, account = services.katalo, services.store, services.account
            assert client and store and account and sinks  # noqa: PT018 - locals, to be printed
            try:
                raise RuntimeError("a trouble")
            except RuntimeError as error:
                shown = Traceback.from_exception(type(error), error, error.__traceback__, show_locals=True)
                Console(file=out, width=10_000).print(shown)
                out.write(f"{settings!r} {services!r} {client!r} {sinks!r} {settings.model_dump()} ")
                out.write(settings.model_dump_json())

    asyncio.run(live())
    assert "a trouble" in out.getvalue()
    assert "-secret-of-all" not in out.getvalue()
