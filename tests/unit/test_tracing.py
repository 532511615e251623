"""One trace a photo: ids that every process knows, sampling that all agree on, and nothing unless it is wanted."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from worker import tracing
from worker.core.identity import trace_ids
from worker.core.photo import NewListing, NewPhoto, Photo, Stage, StepName
from worker.core.request import canonical_request
from worker.otel import Otel
from worker.tracing import OFF, PhotoTracer, asked_for

REQUEST = canonical_request(source="https://host/a.jpg?X-Amz-Signature=hush", mode="clean")
LISTING = NewListing(
    listing_id="elm", partner="acme", metadata={}, photos=(NewPhoto(photo_id="hall", request=REQUEST, metadata={}),)
)


def photo(photo_id: str = "hall", **more: Any) -> Photo:
    from worker.core.identity import fingerprint

    known: dict[str, Any] = {
        "key": "k", "account": "default", "listing_id": "elm", "photo_id": photo_id, "partner": "acme", "metadata": {},
        "request": REQUEST, "fingerprint": fingerprint(REQUEST), "revision": 1, "stage": Stage.ACCEPTED, "token": "1",
        "now_ms": 5_000, "accepted_ms": 1_000, "stage_since_ms": 2_000,
    }  # fmt: skip
    return Photo(**known | more)


class Traced:
    """A tracer whose spans are kept."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.otel = Otel(self._exporter)
        self.tracer = PhotoTracer(self.otel)

    def spans(self) -> list[Any]:
        assert self.otel.provider.force_flush()
        return list(self._exporter.get_finished_spans())

    def stage(self, one: Photo) -> None:
        """Let a photo go its way."""
        self.tracer.enqueued("default", [LISTING], [("elm", one.photo_id)], 1)
        with self.tracer.step(one, StepName.CREATE_GENERATION) as step:
            self.tracer.call("POST /generations", "201", 0.5)
            step.ended("go generating")
        self.tracer.ended(one, Stage.DONE, None)


@pytest.fixture
def traced() -> Iterator[Traced]:
    found = Traced()
    yield found
    found.otel.provider.shutdown()


def test_everything_about_a_photo_is_one_trace_and_calls_are_below_their_step(traced: Traced) -> None:
    traced.stage(photo())
    spans = {span.name: span for span in traced.spans()}
    assert set(spans) == {
        "stagecrew.photo", "stagecrew.enqueue", "stagecrew.create_generation", "POST /generations",
    }  # fmt: skip
    trace_id, span_id = trace_ids("default", "elm", "hall", photo().fingerprint)
    assert {span.context.trace_id for span in spans.values()} == {trace_id}
    root, step = spans["stagecrew.photo"], spans["stagecrew.create_generation"]
    assert (root.context.span_id, root.parent, root.start_time) == (span_id, None, 1_000_000_000)
    assert {spans[name].parent.span_id for name in ("stagecrew.enqueue", "stagecrew.create_generation")} == {span_id}
    assert spans["POST /generations"].parent.span_id == step.context.span_id
    assert step.attributes["stagecrew.in_stage_ms"] == 3_000
    assert "hush" not in "".join(span.to_json() for span in spans.values())


def test_another_photo_request_account_or_picture_has_a_trace_of_its_own() -> None:
    one = ("default", "a-b", "c", "f")
    others = [("north", "a-b", "c", "f"), ("default", "a", "b-c", "f"), ("default", "a-b", "c", "g")]
    ids = [trace_ids(*one), trace_ids(*one, 1), *(trace_ids(*other) for other in others)]
    assert len({trace_id for trace_id, _ in ids}) == len(ids)
    assert trace_ids(*one) == trace_ids(*one)
    assert all(0 < trace_id < 2**128 and 0 < span_id < 2**64 for trace_id, span_id in ids)


def test_what_ended_badly_is_marked_by_its_code_and_no_text(traced: Traced) -> None:
    with traced.tracer.step(photo(), StepName.ANNOUNCE) as step:
        traced.tracer.call("GET /generations", "none", 0.1)
        step.ended("fail failed")
    with pytest.raises(ValueError, match="hush"), traced.tracer.step(photo(), StepName.ANNOUNCE):
        raise ValueError("hush")
    traced.tracer.ended(photo(), Stage.FAILED, "source_unusable")
    call, failed, _, root = traced.spans()
    assert call.attributes["error.type"] == "none"
    assert not any(span.status.is_ok for span in (call, failed, root))
    assert root.status.description == "source_unusable"
    assert "hush" not in "".join(span.to_json() for span in traced.spans())


def test_a_call_outside_any_step_is_nobodys_span(traced: Traced) -> None:
    traced.tracer.call("GET /usage/summary", "200", 0.1)
    assert traced.spans() == []


def test_a_trace_is_kept_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    processes = [Traced(), Traced()]
    for number in range(40):
        # Each photo's steps are done by one process, and its end by another.
        one = photo(f"photo {number}")
        with processes[number % 2].tracer.step(one, StepName.ANNOUNCE) as step:
            step.ended("go done")
        processes[1 - number % 2].tracer.ended(one, Stage.DONE, None)
    spans = [span for process in processes for span in process.spans()]
    whole: dict[int, set[str]] = {}
    for span in spans:
        whole.setdefault(span.context.trace_id, set()).add(span.name)
    for process in processes:
        process.otel.provider.shutdown()
    assert 0 < len(whole) < 40
    assert all(names == {"stagecrew.announce", "stagecrew.photo"} for names in whole.values())


@pytest.mark.parametrize(
    ("environ", "asks"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "console"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, False),
    ],
)
def test_traces_are_made_when_opentelemetrys_variables_ask_for_them(environ: dict[str, str], asks: bool) -> None:
    assert asked_for(environ) is asks


def test_nothing_of_opentelemetry_is_imported_unless_it_is_asked_for() -> None:
    # redis-py looks whether the metrics of OpenTelemetry are there.
    program = (
        "import sys, worker.process, worker.tracing as t; assert t.of_process() is t.OFF;"
        "ours = ('opentelemetry.sdk.trace', 'opentelemetry.exporter', 'worker.otel');"
        "print([name for name in sys.modules if name.startswith(ours)])"
    )
    said = subprocess.run([sys.executable, "-c", program], env={}, capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"


def test_traces_that_are_asked_for_without_opentelemetry_cost_a_line_that_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['opentelemetry'] = None; import worker.tracing as t; assert t.of_process() is t.OFF"
    )
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    said = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True)
    assert said.stderr == "no traces: OpenTelemetry is not installed\n"


def test_an_exporter_that_is_not_installed_costs_a_line_and_the_traces(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "zipkin")
    assert tracing.of_process.__wrapped__() is OFF
    monkeypatch.delenv("OTEL_TRACES_EXPORTER")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    assert tracing.of_process.__wrapped__() is OFF
    assert [(record.levelno, record.message) for record in caplog.records] == [
        (logging.WARNING, "no traces: there is no such exporter")
    ] * 2
    assert caplog.records[0].__dict__["reason"] == "zipkin is not installed; there are console, otlp_proto_http"
