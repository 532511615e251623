"""The catalogue is what processes show, the documents are made of it, and its labels are bounded."""

from __future__ import annotations

import logging
import re

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families as families

from worker.core.routes import Route
from worker.metrics import dashboard, document
from worker.metrics.catalogue import BY_NAME, FLEET, WORKER, Kind
from worker.metrics.meters import ROUTES, Meters
from worker.metrics.partners import MOST_PARTNERS, named


def test_the_documents_are_what_make_docs_writes() -> None:
    assert document.DOCUMENT.read_text("utf-8") == document.render()
    assert dashboard.DASHBOARD.read_text("utf-8") == dashboard.render()


def test_every_metric_has_one_name() -> None:
    assert len(BY_NAME) == len(FLEET) + len(WORKER)


@pytest.mark.parametrize("metric", BY_NAME.values(), ids=BY_NAME)
def test_a_metric_follows_prometheus_conventions(metric) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", metric.name)
    # The suffix is the kind's; and times and sizes are in base units.
    assert not metric.name.endswith(("_total", "_info", "_count", "_sum", "_bucket", "_ms", "_kb", "_minutes"))
    assert metric.name.endswith("_seconds") == (metric.unit == "seconds")
    assert ("bytes" in metric.name) == (metric.unit == "bytes")
    assert metric.said[0].isupper() or metric.said[0].isdigit()
    assert metric.said.endswith(".")
    assert not {"listing", "photo", "job", "le"} & set(metric.labels)
    assert bool(metric.buckets) == (metric.kind is Kind.HISTOGRAM)


def test_a_worker_shows_exactly_the_metrics_of_the_catalogue() -> None:
    meters = Meters()
    meters.about(version="1", worker="w")
    meters.loop_lag(0.1)
    meters.log_handler().handle(logging.LogRecord("x", logging.ERROR, "x", 1, "x", None, None))
    meter = meters.account("default")
    meter.batch("announce", 3, opened=2)
    meter.step("announce", "go", 0.1)
    meter.error("announce")
    meter.ended("done", 30)
    meter.call("POST /generations", "201", 0.2)
    meter.taken_in(7)
    meter.stored(8)
    meter.serving(hands=4, busy=lambda: 3)
    shown = {family.name: family for family in families(generate_latest(meters.registry).decode())}
    # The parser leaves the suffix of a counter out, and takes an info for a gauge.
    assert set(shown) == {m.shown.removesuffix("_total") for m in WORKER}
    for metric in WORKER:
        family = shown[metric.shown.removesuffix("_total")]
        assert family.documentation == metric.said
        assert family.type == ("gauge" if metric.kind is Kind.INFO else metric.kind.value)
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(metric.labels)
    assert {sample.labels["outcome"]: sample.value for sample in shown["stagecrew_steps"].samples} == {
        "stale": 1, "go": 1,
    }  # fmt: skip
    assert shown["stagecrew_hands_busy"].samples[0].value == 3


def test_each_call_of_the_client_is_counted_under_its_budget() -> None:
    # A source by URL draws on the budget of fetches too, and is one call.
    assert set(ROUTES.values()) == set(Route) - {Route.SOURCE_FETCHES}


def test_lines_are_counted_from_warnings_on() -> None:
    meters = Meters()
    logger, handler = logging.getLogger("tests.apart"), meters.log_handler()
    logger.addHandler(handler)
    logger.info("a")
    logger.warning("b")
    logger.removeHandler(handler)
    [family] = [f for f in families(generate_latest(meters.registry).decode()) if f.name == "stagecrew_log_lines"]
    assert [(sample.labels["level"], sample.value) for sample in family.samples] == [("warning", 1)]


def test_the_partners_with_the_most_photos_are_named_and_a_tie_is_broken_by_name() -> None:
    photos = {f"partner {number:03}": number % 7 for number in range(3 * MOST_PARTNERS)}
    found = named(photos)
    assert len(found) == MOST_PARTNERS
    assert min(photos[name] for name in found) >= max(photos[name] for name in set(photos) - found)
    assert found == named(dict(reversed(photos.items())))
    assert named({"only": 0}) == {"only"}
