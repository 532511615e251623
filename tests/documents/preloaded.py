"""`stagecrew` with its imports made already: each command is a fork of one process, a tenth of a second instead of one.

`serve` is that process; the program that `client` writes stands in for the console script on the PATH of a shell. It
hands its standard streams, arguments, folder and environment over and ends with the command's exit code.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import multiprocessing
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

#: What commands import when they are called.
WARM = (
    "celery", "httpx", "jsonschema", "redis.asyncio", "rich.console", "rich.table", "uvicorn", "config.settings",
    "config.accounts", "worker.services", "worker.process", "worker.gateway.server", "worker.katalo.client",
    "worker.cli.checks", "worker.cli.tables", "worker.cli.progress", "worker.intake.folder", "worker.intake.readers",
    "worker.sinks.opening", "worker.storage.store",
)  # fmt: skip
_CLIENT = """#!{python} -ISE
import json, os, socket, sys
line = socket.socket(socket.AF_UNIX)
line.connect({path!r})
text = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(line, [len(text).to_bytes(4, "big")], [0, 1, 2])
line.sendall(text)
code = line.recv(1)
sys.exit(code[0] if code else 137)
"""


@contextlib.contextmanager
def preloaded(folder: Path) -> Iterator[Path]:
    """Serve while the block runs; gives the folder to put on the PATH, with `stagecrew` in it."""
    path = folder / "stagecrew.socket"
    (folder / "bin").mkdir()
    client = folder / "bin" / "stagecrew"
    client.write_text(_CLIENT.format(python=sys.executable, path=str(path)), encoding="utf-8")
    client.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        # A fresh interpreter: what this process runs (threads of a test) must not be forked.
        server = multiprocessing.get_context("spawn").Process(target=serve, args=(listener,), daemon=True)
        server.start()
        try:
            yield client.parent
        finally:
            server.terminate()
            server.join()
            server.close()


def serve(listener: socket.socket) -> None:
    """Take commands for ever, one after the other."""
    for name in WARM:
        importlib.import_module(name)
    while True:
        line, _ = listener.accept()
        with line:
            child = os.fork()
            if child == 0:
                listener.close()
                _run(line)
            _, status = os.waitpid(child, 0)
            with contextlib.suppress(BrokenPipeError):
                line.sendall(bytes([os.waitstatus_to_exitcode(status) % 256]))


def _run(line: socket.socket) -> None:
    """Run one command in this process, a fork, and end it."""
    head, streams, _, _ = socket.recv_fds(line, 4, 3)
    size, text = int.from_bytes(head, "big"), b""
    while len(text) < size:
        text += line.recv(size - len(text))
    arguments, cwd, environ = json.loads(text)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = ["stagecrew", *arguments]
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115 - this process's own
    from worker.cli import main

    code: object = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)
