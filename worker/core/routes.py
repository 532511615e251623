"""The API's routes as budgets know them; the values are the names in the settings."""

from __future__ import annotations

from enum import StrEnum


class Route(StrEnum):
    """One budget each (contract, section 5); `SOURCE_FETCHES` is drawn on by `source_url` besides its own route's."""

    SOURCE_ASSETS = "source_assets"
    GENERATIONS = "generations"
    REGENERATE = "regenerate"
    GENERATION_READS = "generation_reads"
    INGEST_READS = "ingest_reads"
    SOURCE_FETCHES = "source_fetches"
    USAGE = "usage"
    BILLING = "billing"
