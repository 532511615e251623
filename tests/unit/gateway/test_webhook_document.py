"""`docs/webhooks.md` says what the code does: outcomes, answers, metrics, numbers."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.unit.gateway.conftest import Open
from worker.gateway.webhooks import LOG_S, MAX_BYTES
from worker.ledger.inbox import KEPT_MS, MAX_KEPT, SILENT_AFTER, Outcome

TEXT = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text(encoding="utf-8")


def test_every_outcome_is_explained_and_no_other() -> None:
    section = TEXT.partition("## What becomes of a webhook")[2].partition("\n## ")[0]
    first_cells = "".join(line.split("|")[1] for line in section.splitlines() if line.startswith("|"))
    assert set(re.findall(r"`(\w+)`", first_cells)) == {outcome.value for outcome in Outcome}


def test_metrics_that_are_named_are_given(gateway: Open) -> None:
    door = gateway(STAGECREW_COMPLETIONS_URL="celery://theirs.done")
    given = {
        sample.name
        for family in text_string_to_metric_families(door.http.get("/metrics").text)
        for sample in family.samples
    }
    named = set(re.findall(r"\bstagecrew_[a-z_]+", TEXT))
    assert named
    assert named - given == set()


def test_the_numbers_are_those_of_the_code() -> None:
    assert f"{MAX_BYTES // 1024} KiB" in TEXT
    assert f"{MAX_KEPT:,} at most" in TEXT
    assert KEPT_MS == 7 * 86_400_000, "a week"
    assert f"When {SILENT_AFTER} jobs in a row" in TEXT
    assert LOG_S == 10, "every ten seconds"


def test_every_answer_is_explained() -> None:
    section = TEXT.partition("## What each answer means")[2].partition("\n## ")[0]
    assert re.findall(r"^\| (\d{3}) ", section, re.MULTILINE) == ["200", "400", "401", "405", "413", "503"]
