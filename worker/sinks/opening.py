"""Builds the sinks of the settings; nothing is connected to before the first message."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from config.sinks import SinkAddress, SinkKind

if TYPE_CHECKING:
    from config.settings import Settings
    from worker.sinks.sink import Sink


@contextlib.asynccontextmanager
async def open_sinks(settings: Settings) -> AsyncIterator[tuple[Sink, ...]]:
    """Open every sink that has an outbox: all but the stream."""
    async with contextlib.AsyncExitStack() as stack:
        sinks = tuple(_open(address, settings) for address in settings.sinks if address.kind is not SinkKind.STREAM)
        for sink in sinks:
            stack.push_async_callback(sink.aclose)
        yield sinks


def _open(address: SinkAddress, settings: Settings) -> Sink:
    match address.kind:
        case SinkKind.HTTPS:
            from worker.sinks.https import HttpsSink  # noqa: PLC0415 - only who has such a sink pays for its client

            return HttpsSink(
                address,
                secrets=settings.sink_secrets[address.name],
                allow_private_hosts=settings.allow_private_hosts,
            )
        case SinkKind.CELERY:
            from worker.sinks.celery import CelerySink  # noqa: PLC0415 - as above

            return CelerySink(address, settings)
    from worker.sinks.aws import aws_sink  # noqa: PLC0415 - as above

    return aws_sink(address)
