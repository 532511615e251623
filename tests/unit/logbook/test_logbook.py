"""Every event that the code logs is documented, and the document names nothing else."""

from __future__ import annotations

import ast

import pytest

from worker.logbook.document import DOCUMENT, render
from worker.logbook.found import UnreadableCall, _call, calls
from worker.logbook.table import SECTIONS

#: One word per idea: these are how photos, listings and jobs are called in every line.
OTHER_WORDS = {"photo_id", "listing_id", "job_id", "generation_id", "label", "url", "error", "event"}


def test_the_code_logs_exactly_the_events_of_the_table() -> None:
    logged = {call.event for call in calls()}
    documented = [event for entries in SECTIONS.values() for event in entries]
    assert sorted(documented) == sorted(logged)


def test_the_document_is_what_make_docs_writes() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == render()


def test_photos_listings_and_jobs_are_called_alike_in_every_line() -> None:
    assert {field for call in calls() for field in call.fields} & OTHER_WORDS == set()


def test_the_lines_about_one_photo_leave_its_name_to_what_is_bound() -> None:
    named = {call.module for call in calls() if {"photo", "listing"} & set(call.fields)}
    # Upkeep looks at many photos in one task.
    assert named == {"worker.pipeline.uncertain"}


@pytest.mark.parametrize("text", ['logger.info(f"photo {name}")', 'logger.info("known", extra=about(photo))'])
def test_an_event_that_can_not_be_documented_is_refused(text: str) -> None:
    node = ast.parse(text).body[0]
    assert isinstance(node, ast.Expr)
    assert isinstance(node.value, ast.Call)
    with pytest.raises(UnreadableCall, match="no literal"):
        _call(node.value, "info", "module")
