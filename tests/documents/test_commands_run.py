"""Every shell block of the documents runs as it stands: in order, on a real fleet against the sandbox.

One Redis, one sandbox, one worker and one gateway serve all documents; each has a folder of its own with the example
pictures in it. What can't run here says why in a comment before it (`tests/documents/blocks.py`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documents.blocks import DOCUMENTS, ROOT, blocks
from tests.documents.preloaded import preloaded
from tests.documents.shell import Shell
from worker.embedded.processes import spawn, stop
from worker.embedded.redis_server import embedded_redis
from worker.sandbox.config import SandboxConfig
from worker.sandbox.running import running_sandbox

TOKEN = "a-token-for-the-documents"
SPEED = 50.0
#: Documents for those who have set nothing yet.
FRESH = {"quickstart.md"}
RUN = [document for document in DOCUMENTS if any(block.runs for block in blocks(document))]


@contextlib.contextmanager
def fleet(folder: Path) -> Iterator[dict[str, str]]:
    """Run everything; gives the environment of whoever works with it."""
    config = SandboxConfig(speed=SPEED, picture="tiny", job_min_s=20, job_max_s=30)
    with contextlib.ExitStack() as stack:
        commands = stack.enter_context(preloaded(folder))
        redis = stack.enter_context(embedded_redis(folder / "redis"))
        sandbox = stack.enter_context(running_sandbox(config))
        plain = {name: value for name, value in os.environ.items() if name in {"HOME", "LANG", "TMPDIR"}}
        environ = plain | {
            "PATH": os.pathsep.join([str(commands), str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": str(ROOT),
            "STAGECREW_REDIS_URL": redis.url,
            "STAGECREW_STORAGE_URL": (folder / "staged").as_uri(),
            "STAGECREW_ALLOW_PRIVATE_HOSTS": "true",
            "STAGECREW_SPEED": f"{SPEED:g}",
            "STAGECREW_INTAKE_TOKENS": TOKEN,
            "STAGECREW_GATEWAY_PORT": "0",
            "KATALO_BASE_URL": sandbox.base_url,
            "KATALO_API_KEY": sandbox.api_key,
            "KATALO_WEBHOOK_SECRET": sandbox.webhook_secret,
        }
        for command in ("worker", "gateway"):
            log = stack.enter_context((folder / f"{command}.log").open("wb"))
            line = [sys.executable, "-m", "worker.cli", command]
            process = spawn(line, environ=environ, output=subprocess.PIPE if command == "gateway" else log)
            stack.callback(stop, process, within_s=20)
            if process.stdout is not None:
                said = stack.enter_context(process.stdout)
                address = next(line for line in said if line.startswith(b"gateway: ")).decode().split()[1]
        # The documents' own calls of the API go to a sandbox of their own: they change its clock, and forget all.
        other = stack.enter_context(running_sandbox(config))
        led = ["bash", "-c", 'until stagecrew status --json | grep -q \'"leader": "\'; do sleep 0.1; done']
        subprocess.run(led, env=environ, check=True, timeout=120)
        yield environ | {"GATEWAY": address.partition("/webhooks")[0], "TOKEN": TOKEN, "SANDBOX": other.base_url}


def newcomer(environ: dict[str, str]) -> dict[str, str]:
    """Return the environment of somebody who has set nothing."""
    ours = ("STAGECREW_", "KATALO_", "GATEWAY", "TOKEN", "SANDBOX")
    return {name: value for name, value in environ.items() if not name.startswith(ours)}


@pytest.mark.timeout(600)
def test_the_commands_of_every_document_do_what_it_says(tmp_path: Path) -> None:
    troubles = []
    with fleet(tmp_path) as environ:
        for document in RUN:
            folder = tmp_path / document.stem
            folder.mkdir()
            for name in ("examples", "worker", "config"):
                (folder / name).symlink_to(ROOT / name)
            shutil.copytree(ROOT / "examples" / "photos", folder / "photos")
            shell = Shell(folder, newcomer(environ) if document.name in FRESH else environ)
            try:
                for block in blocks(document):
                    if block.runs and (trouble := shell.run(block)):
                        troubles.append(trouble)
                        break
            finally:
                shell.close()
    assert not troubles, "\n\n".join(troubles)


def test_every_shell_block_runs_or_says_why_not() -> None:
    every = [block for document in DOCUMENTS for block in blocks(document) if block.language == "sh"]
    mute = [str(block) for block in every if not block.runs and len(block.said.get("not run", "").split()) < 3]
    assert mute == [], (
        "add <!-- sh: run --> or <!-- sh: not run: REASON --> to the page, or <!-- not run: REASON --> before a block"
    )
    assert sum(block.runs for block in every) > 20
