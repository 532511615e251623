"""OpenTelemetry's side of the traces: a provider whose ids are given. Imported by `worker/tracing.py` when wanted only.

What `OTEL_*` variables say of resource, sampler, batching and exporter holds; the exporter is any that is installed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from importlib.metadata import entry_points
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, StatusCode, TraceFlags

import worker

Attributes = Mapping[str, str | int]

#: Outcomes of a step that are not as they should be.
_BAD: Final = ("fail", "retry", "not settled")
_given: ContextVar[tuple[int, int] | None] = ContextVar("given", default=None)


class NoExporter(Exception):  # noqa: N818 - it says what there is not
    """The exporter that the variables name is not installed; the message lists those that are."""


class _GivenIds(RandomIdGenerator):
    """The ids that a root span is to have; random ones otherwise."""

    def generate_trace_id(self) -> int:
        given = _given.get()
        return super().generate_trace_id() if given is None else given[0]

    def generate_span_id(self) -> int:
        given = _given.get()
        return super().generate_span_id() if given is None else given[1]


class Otel:
    """A tracer of OpenTelemetry's, and the ways in which spans are made of what happened."""

    def __init__(self, exporter: SpanExporter) -> None:
        """Send spans to `exporter`, in the background; what is left is sent when the process ends."""
        named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
        attributes = {"service.version": worker.__version__} | ({} if named else {"service.name": "stagecrew"})
        self.provider = TracerProvider(resource=Resource.create(attributes), id_generator=_GivenIds())
        self.provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self.provider.get_tracer("stagecrew", worker.__version__)

    @classmethod
    def of_environment(cls) -> Otel:
        """Return what the variables ask for. Raises NoExporter."""
        return cls(_exporter())

    @contextlib.contextmanager
    def inside(self, ids: tuple[int, int], name: str, attributes: Attributes) -> Iterator[_Step]:
        """Make a span below the given root, current while the block runs."""
        span = self._tracer.start_span(name, self._below(ids), SpanKind.CONSUMER, attributes)
        # An exception's text may hold anything.
        with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            yield _Step(span)

    def child(self, name: str, attributes: Attributes, *, began_ns: int, error: str | None) -> None:
        """Make a span of something that ended now, below the current one; nothing where there is none."""
        if trace.get_current_span().get_span_context().is_valid:
            span = self._tracer.start_span(name, None, SpanKind.CLIENT, attributes, start_time=began_ns)
            _end(span, error)

    def below(self, ids: tuple[int, int], name: str, attributes: Attributes, *, began_ns: int) -> None:
        """Make a span of something that ended now, below the given root."""
        _end(self._tracer.start_span(name, self._below(ids), SpanKind.PRODUCER, attributes, start_time=began_ns), None)

    def root(
        self, ids: tuple[int, int], name: str, attributes: Attributes, *, began_ns: int, error: str | None
    ) -> None:
        """Make the root itself, of something that ended now."""
        before = _given.set(ids)
        try:
            span = self._tracer.start_span(name, Context(), SpanKind.INTERNAL, attributes, start_time=began_ns)
        finally:
            _given.reset(before)
        _end(span, error)

    def _below(self, ids: tuple[int, int]) -> Context:
        trace_id, span_id = ids
        # The root comes last; whether it will be sampled follows from its id, here as there.
        sampled = self.provider.sampler.should_sample(Context(), trace_id, "stagecrew.photo").decision
        flags = TraceFlags(TraceFlags.SAMPLED if sampled is Decision.RECORD_AND_SAMPLE else TraceFlags.DEFAULT)
        parent = SpanContext(trace_id, span_id, is_remote=True, trace_flags=flags)
        return trace.set_span_in_context(NonRecordingSpan(parent), Context())


class _Step:
    def __init__(self, span: Span) -> None:
        self._span = span

    def ended(self, outcome: str) -> None:
        self._span.set_attribute("stagecrew.outcome", outcome)
        if outcome.startswith(_BAD):
            self._span.set_status(StatusCode.ERROR, outcome)


def _end(span: Span, error: str | None) -> None:
    if error is not None:
        span.set_attribute("error.type", error)
        span.set_status(StatusCode.ERROR, error)
    span.end()


def _exporter() -> SpanExporter:
    name = os.environ.get("OTEL_TRACES_EXPORTER") or "otlp"
    if name == "otlp":
        protocol = (
            os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
            or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
            or "http/protobuf"
        )
        name = "otlp_proto_grpc" if protocol == "grpc" else "otlp_proto_http"
    known = {found.name: found for found in entry_points(group="opentelemetry_traces_exporter")}
    if name not in known:
        message = f"{name} is not installed; there are {', '.join(sorted(known)) or 'none'}"
        raise NoExporter(message)
    exporter: SpanExporter = known[name].load()()
    return exporter
