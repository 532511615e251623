"""The work that every contender is given: the same photos, the same API, the same concurrency, one folder to fill.

A contender is done when each photo has its outputs and a manifest in `output`, and its completion was emitted.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One run's work. Durations are seconds of the API's time, which runs `speed` times as fast as the wall's."""

    #: The contender's own folder; `sources` has the photos `0.jpg`, `1.jpg`, ...
    folder: str
    sources: str
    photos: int
    base_url: str
    api_key: str
    webhook_secret: str
    speed: float
    #: Worker processes of those that have any, and what each of them may do at once.
    workers: int
    hands: int
    #: Jobs in flight at once.
    in_flight: int
    #: The published limits are in force; without them only `in_flight` holds, by the contender's own discipline.
    limited: bool
    #: Pause between two reads of the same ingest or job; stagecrew has a cadence of its own.
    poll_s: float = 2.0
    #: Results come by webhooks; only stagecrew can.
    webhooks: bool = False
    #: Each photo is begun when the one before has been completed.
    one_by_one: bool = False

    def to_json(self) -> str:
        """Return the work as it is handed to another process."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Work:
        """Return the work of `to_json`."""
        return cls(**json.loads(text))

    @property
    def output(self) -> Path:
        """Where outputs and manifests go."""
        return Path(self.folder) / "output"

    @property
    def completions(self) -> Path:
        """Where the peers write a line for each photo that is done."""
        return Path(self.folder) / "completions.jsonl"

    def source(self, number: int) -> Path:
        """Return a photo's file."""
        return Path(self.sources) / f"{number}.jpg"

    def settings_of_job(self, number: int, source_asset_id: str) -> dict[str, object]:
        """Return the body of a create: the same settings for every contender."""
        return {
            "source_asset_id": source_asset_id,
            "workflow": "staging",
            "capture_type": "photo",
            "mode": "refurnish",
            "style_preset": "modern",
            "reference": f"photo-{number}",
            "metadata": {"listing_id": "bench", "photo_id": str(number)},
        }


def missing(work: Work, completed: int) -> str | None:
    """Return what a contender left undone, or None when the whole job is done."""
    manifests = [json.loads(path.read_text()) for path in work.output.rglob("manifest.json")]
    if len(manifests) != work.photos:
        return f"{len(manifests)} manifests for {work.photos} photos"
    pictures = sum(1 for path in work.output.rglob("*.jpg") if path.stat().st_size)
    outputs = sum(len(manifest["outputs"]) for manifest in manifests)
    if pictures != outputs or outputs < work.photos:
        return f"{pictures} pictures for {outputs} outputs of {work.photos} photos"
    if completed != work.photos:
        return f"{completed} completions for {work.photos} photos"
    return None
