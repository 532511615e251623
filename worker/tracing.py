"""One trace a photo, across all processes, for whoever has an OpenTelemetry collector (`stagecrew[otel]`).

Nothing of its tracing is imported and nothing is spent unless one of its variables asks for traces. The ids of a
photo's trace and of its first span are derived from the photo, its request and the number of its picture; so every
process knows them, none has to carry them along, and a step that comes twice, or after days, is in the same trace.
Whether a trace is sampled follows from its id, so that all processes agree.

Attributes say which photo, step, stage and outcome, and the error's code: no URL, no key, no message of anybody's.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Final, Protocol, Self

from worker.core.identity import fingerprint_of, trace_ids
from worker.core.photo import NewListing, Photo, Stage, StepName

if TYPE_CHECKING:
    from worker.otel import Otel

logger = logging.getLogger(__name__)

#: Variables of OpenTelemetry's own, each of which asks for traces.
_ASKING: Final = ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class StepSpan(Protocol):
    """A step that runs."""

    def ended(self, outcome: str) -> None:
        """Say what became of it."""


class Tracer:
    """Says what happens to photos; this one says it to nobody."""

    def step(self, photo: Photo, step: StepName) -> contextlib.AbstractContextManager[StepSpan]:  # noqa: ARG002
        """Note a step while the block runs; calls of the API inside are its children."""
        return _NO_STEP

    def call(self, name: str, status: str, seconds: float) -> None:
        """Note a call of the API that ended now."""

    def enqueued(
        self, account: str, listings: Sequence[NewListing], news: Sequence[tuple[str, str]], began_ns: int
    ) -> None:
        """Note that photos, those in `news` (listing id, photo id), have been enqueued since `began_ns` (epoch)."""

    def ended(self, photo: Photo, stage: Stage, code: str | None) -> None:
        """Note the end of a photo: the span of its whole way."""


class _NoStep(contextlib.AbstractContextManager[StepSpan]):
    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def ended(self, outcome: str) -> None:
        pass


_NO_STEP: Final = _NoStep()
OFF: Final = Tracer()


class PhotoTracer(Tracer):
    """Sends spans to OpenTelemetry."""

    def __init__(self, otel: Otel) -> None:
        """Take what was opened from the environment, or by a test."""
        self._otel = otel

    @contextlib.contextmanager
    def step(self, photo: Photo, step: StepName) -> Iterator[StepSpan]:
        """Note a step while the block runs; calls of the API inside are its children."""
        waited_ms = max(0, photo.now_ms - photo.stage_since_ms)
        attributes = _about(photo) | {
            "stagecrew.step": step.value,
            "stagecrew.stage": photo.stage.value,
            "stagecrew.attempt": photo.attempt,
            "stagecrew.in_stage_ms": waited_ms,
        }
        with self._otel.inside(_ids(photo), f"stagecrew.{step.value}", attributes) as span:
            yield span

    def call(self, name: str, status: str, seconds: float) -> None:
        """Note a call of the API that ended now."""
        attributes: dict[str, str | int] = {"http.request.method": name.partition(" ")[0]}
        if status.isdigit():
            attributes["http.response.status_code"] = int(status)
        bad = not status.startswith("2")
        self._otel.child(name, attributes, began_ns=time.time_ns() - int(seconds * 1e9), error=status if bad else None)

    def enqueued(
        self, account: str, listings: Sequence[NewListing], news: Sequence[tuple[str, str]], began_ns: int
    ) -> None:
        """Note that photos have been enqueued since `began_ns`."""
        fresh = set(news)
        for listing in listings:
            for photo in listing.photos:
                if (listing.listing_id, photo.photo_id) in fresh:
                    fingerprint = fingerprint_of(photo.request.canonical_json())
                    ids = trace_ids(account, listing.listing_id, photo.photo_id, fingerprint)
                    names = _named(account, listing.listing_id, photo.photo_id, listing.partner)
                    self._otel.below(ids, "stagecrew.enqueue", names, began_ns=began_ns)

    def ended(self, photo: Photo, stage: Stage, code: str | None) -> None:
        """Note the end of a photo: the span of its whole way."""
        attributes = _about(photo) | {"stagecrew.stage": stage.value}
        self._otel.root(_ids(photo), "stagecrew.photo", attributes, began_ns=photo.accepted_ms * 1_000_000, error=code)


@cache
def of_process() -> Tracer:
    """Return this process's tracer: what OpenTelemetry's variables ask for, opened once."""
    if not asked_for(os.environ):
        return OFF
    if importlib.util.find_spec("opentelemetry") is None or importlib.util.find_spec("opentelemetry.sdk") is None:
        logger.warning("no traces: OpenTelemetry is not installed", extra={"install": "pip install 'stagecrew[otel]'"})
        return OFF
    from worker.otel import NoExporter, Otel  # noqa: PLC0415 - imported only where it is wanted

    try:
        return PhotoTracer(Otel.of_environment())
    except NoExporter as error:
        logger.warning("no traces: there is no such exporter", extra={"reason": str(error)})
        return OFF


def asked_for(environ: Mapping[str, str]) -> bool:
    """Say whether OpenTelemetry's variables ask for traces."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none":
        return False
    return any(environ.get(name) for name in _ASKING)


def _ids(photo: Photo) -> tuple[int, int]:
    return trace_ids(photo.account, photo.listing_id, photo.photo_id, photo.fingerprint, photo.regeneration)


def _named(account: str, listing_id: str, photo_id: str, partner: str) -> dict[str, str | int]:
    return {
        "stagecrew.account": account,
        "stagecrew.listing": listing_id,
        "stagecrew.photo": photo_id,
        "stagecrew.partner": partner,
    }


def _about(photo: Photo) -> dict[str, str | int]:
    about = _named(photo.account, photo.listing_id, photo.photo_id, photo.partner)
    about |= {"stagecrew.revision": photo.revision, "stagecrew.regeneration": photo.regeneration}
    return about | ({"stagecrew.job": photo.job_id} if photo.job_id else {})
