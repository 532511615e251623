"""One document's shell session: its blocks in order, in a folder of its own; variables and folder last to its end."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path

from tests.documents.blocks import Block

#: A block that does not end within this is broken, not slow.
DEADLINE_S = 120
#: Keeps what a block exported, and where it went.
_KEEP = 'trap \'{ export -p; echo "cd $(printf %q "$PWD")"; } > "$SESSION"\' EXIT\n'


@dataclass
class Shell:
    """A session."""

    folder: Path
    environ: dict[str, str]
    beside: list[subprocess.Popen[str]] = field(default_factory=list)

    def run(self, block: Block) -> str | None:
        """Run a block as it says; None, or what went wrong, with all that it printed."""
        if "before" in block.said and (trouble := self._run(block.said["before"], "0")):
            return f"{block}: before it: {trouble}"
        if text := block.said.get("runs beside, until"):
            trouble = self._beside(block.code, text)
        else:
            trouble = self._run(block.code, block.said.get("ends with", "0"))
        return f"{block}: {trouble}" if trouble else None

    def close(self) -> None:
        """End what runs beside."""
        for process in self.beside:
            os.killpg(process.pid, signal.SIGTERM)
        for process in self.beside:
            process.wait(timeout=DEADLINE_S)
            if process.stdout is not None:
                process.stdout.close()

    def _script(self, code: str) -> list[str]:
        session = self.folder / ".session"
        first = f"source {session}\n" if session.exists() else ""
        return ["bash", "-euo", "pipefail", "-c", f"SESSION={session}\n{first}{_KEEP}{code}"]

    def _run(self, code: str, expected: str) -> str | None:
        done = subprocess.run(
            self._script(code),
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        if str(done.returncode) == expected:
            return None
        return f"it ended with {done.returncode} instead of {expected}:\n{code}\n{done.stdout}"

    def _beside(self, code: str, until: str) -> str | None:
        process = subprocess.Popen(
            self._script(code),
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.beside.append(process)
        assert process.stdout is not None
        printed = ""
        watch = threading.Timer(DEADLINE_S, process.kill)
        watch.start()
        for line in process.stdout:
            printed += line
            if until in line:
                watch.cancel()
                # Whoever prints into a full pipe stands still.
                threading.Thread(target=_drain, args=(process,), daemon=True).start()
                return None
        watch.cancel()
        return f"it never printed {until!r}:\n{code}\n{printed}"


def _drain(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    for _ in process.stdout:
        pass
