"""Brings up what a run needs and is not there: a Redis, the sandbox, a folder for the outputs; takes it down last."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from config.accounts import accounts_of, has_key
from config.settings import Settings
from config.sinks import SinkKind
from worker.cli.crew import RunningSandbox, start_sandbox
from worker.cli.state_folder import RunNote, StateFolder, folder_of, has_redis_url
from worker.embedded.redis_server import embedded_redis
from worker.logs import mask

#: The sandbox's clock, unless the user says otherwise: jobs of 30 to 60 s take 3 to 6 s.
SANDBOX_SPEED: Final = 10.0
OUTPUT_FOLDER: Final = "stagecrew-output"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Everything that a run stands on."""

    #: The settings with which workers and ledger are opened.
    settings: Settings
    folder: StateFolder
    #: Where the messages and the page go; the outputs too, unless the store is elsewhere.
    out: Path
    sandbox: RunningSandbox | None
    embedded: bool
    #: A sandbox that never saw a call: an empty ledger has no earlier grants to wait for.
    untouched: bool

    def describe(self) -> list[str]:
        """Return what the run works with, for people: which API before all else."""
        accounts = accounts_of(self.settings)
        if self.sandbox is not None:
            api = "sandbox API (no KATALO_API_KEY set): nothing is billed"
            api += f"; its clock runs {self.settings.speed:g} times as fast as real time"
        else:
            places = dict.fromkeys(account.base_url for account in accounts.values())
            api = f"the real Katalo API at {', '.join(places)}: jobs may be billed"
        lines = [api]
        if len(accounts) > 1:
            lines.append(f"accounts: {', '.join(accounts)}")
        if self.embedded:
            lines.append(f"own Redis, its data in {self.folder.redis}; logs in {self.folder.logs}")
        else:
            lines.append(f"Redis at {mask(self.settings.redis_url_text)}; logs in {self.folder.logs}")
            if self.sandbox is not None:
                lines.append("note: that Redis's ledger now has the sandbox's photos; use another one for real photos")
        lines.append(f"outputs go to {', '.join(mask(account.storage_url) for account in accounts.values())}")
        if sinks := [sink.name for sink in self.settings.sinks if sink.kind is not SinkKind.STREAM]:
            lines.append(f"messages go to {', '.join(sinks)} too")
        return lines

    def position(self) -> str | None:
        """Return the last completion message that was copied from the run's own Redis; None for another Redis."""
        note = self.folder.note() if self.embedded else None
        return note.position if note else None

    def note_position(self, position: str) -> None:
        """Note how far messages are copied."""
        note = self.folder.note()
        if self.embedded and note is not None:
            self.folder.write_note(dataclasses.replace(note, position=position))


@contextlib.contextmanager
def surroundings(settings: Settings, *, out: Path | None, speed: float | None, seed: int) -> Iterator[Surroundings]:
    """Bring everything up. Raises StateFolderBusy, RedisNotStarted, CrewTrouble, OSError."""
    sandboxed = not has_key(settings)
    folder = folder_of(settings, sandbox=sandboxed)
    folder.make()
    changes: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        stack.enter_context(folder.lock())
        embedded = not has_redis_url(settings)
        if embedded:
            running = stack.enter_context(embedded_redis(folder.redis))
            changes |= {"redis_url": SecretStr(running.url)}
        sandbox = None
        untouched = sandboxed and not folder.sandbox.exists()
        if sandboxed:
            chosen = settings.speed if "speed" in settings.model_fields_set else SANDBOX_SPEED
            sandbox = start_sandbox(folder, speed=speed or chosen, seed=seed)
            stack.callback(sandbox.stop)
            changes |= {
                "katalo_base_url": sandbox.base_url,
                "katalo_api_key": SecretStr(sandbox.api_key),
                "speed": speed or chosen,
                "allow_private_hosts": True,
                # The sandbox's news are nothing for a gateway that the world reaches.
                "webhook_public_url": None,
            }
        changes |= _with_stream(settings)
        where, changed = _output(settings, out, sandboxed=sandboxed)
        where.mkdir(parents=True, exist_ok=True)
        ready = settings.model_copy(update=changes | changed)
        if embedded:
            before = folder.note()
            folder.write_note(
                RunNote(
                    redis_url=ready.redis_url_text,
                    speed=ready.speed,
                    sandbox_port=sandbox.port if sandbox else None,
                    position=before.position if before else "0",
                    storage_url=changed.get("storage_url"),
                )
            )
        yield Surroundings(
            settings=ready, folder=folder, out=where, sandbox=sandbox, embedded=embedded, untouched=untouched
        )


def _with_stream(settings: Settings) -> dict[str, Any]:
    """Return what makes messages go to a stream too: a run follows its photos and writes its messages from there."""
    if any(sink.kind is SinkKind.STREAM for sink in settings.sinks):
        return {}
    default = Settings.model_fields["completions_url"].default.get_secret_value()
    return {"completions_url": SecretStr(f"{default} {settings.completions_url.get_secret_value()}")}


def _output(settings: Settings, out: Path | None, *, sandboxed: bool) -> tuple[Path, dict[str, Any]]:
    """Return the folder of the run's own files, and what changes in the settings."""
    if out is not None:
        return out.absolute(), {"storage_url": out.absolute().as_uri()}
    if "storage_url" in settings.model_fields_set:
        parts = urlsplit(settings.storage_url)
        here = Path(unquote(parts.path)) if parts.scheme == "file" else Path.cwd() / OUTPUT_FOLDER
        return here, {}
    # A manifest says "this photo is staged": the sandbox's must not lie where real ones are looked for.
    here = Path.cwd() / OUTPUT_FOLDER / "sandbox" if sandboxed else Path.cwd() / OUTPUT_FOLDER
    return here, {"storage_url": here.as_uri()}
