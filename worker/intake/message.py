"""Records out of a message of another program, whatever it holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from worker.intake.outcome import BadRecord, Result
from worker.intake.record import parse_listing


def read_message(listings: Any, *, name: str, files_below: Path | None) -> list[Result]:
    """Return the listings of a list of records (or of one record), and what is wrong with the others.

    Files may be named only below `files_below`, relative ones from there. Never raises.
    """
    records = [listings] if isinstance(listings, Mapping) else listings
    if not isinstance(records, list):
        remedy = 'send kwargs={"listings": [{"listing_id": "...", "photos": [...]}]}'
        return [BadRecord(where=name, field="listings", problem="it is no list of records", remedy=remedy)]
    return [
        result
        for number, record in enumerate(records, 1)
        for result in parse_listing(
            record, where=f"{name} record {number}", base=files_below, local_files=files_below or False
        )
    ]
