"""What the peers write: outputs, a manifest, a completion. Plain files, no more than somebody would write by hand."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.meter import Usage, own_usage
from bench.work import Work


def write_outputs(work: Work, number: int, job: Mapping[str, Any], pictures: Mapping[str, bytes]) -> None:
    """Write every picture, then the manifest."""
    folder = work.output / str(number)
    folder.mkdir(parents=True, exist_ok=True)
    outputs = []
    for role, data in pictures.items():
        (folder / f"{role}.jpg").write_bytes(data)
        outputs.append({"role": role, "name": f"{number}/{role}.jpg", "sha256": hashlib.sha256(data).hexdigest()})
    manifest = {"photo": str(number), "job_id": job["job_id"], "outputs": outputs}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def write_completion(work: Work, number: int, begun_ms: float) -> None:
    """Write the line that says that a photo is done."""
    line = {"photo": str(number), "begun_ms": begun_ms, "done_ms": time.time() * 1000}
    with work.completions.open("a") as lines:
        lines.write(json.dumps(line) + "\n")


def write_spent(work: Work, seconds: float, before: Usage) -> None:
    """Write what this process used since `before`: imports and start do not count, as with the others."""
    now = own_usage()
    used = Usage(cpu_s=now.cpu_s - before.cpu_s, peak_bytes=now.peak_bytes)
    (Path(work.folder) / "spent.json").write_text(json.dumps({"seconds": seconds, "usage": asdict(used)}))
