"""A TLS front before a plain port of loopback, as managed Redis has one: it asks its callers for a certificate."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True, kw_only=True)
class Front:
    """Where the front listens, and the files that its callers need."""

    port: int
    ca: Path
    cert: Path
    #: Of another authority: a caller that trusts it must not take the front for the server.
    other_ca: Path


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, ssl.SSLError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()


async def _both_ways(target_port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    back_reader, back_writer = await asyncio.open_connection("127.0.0.1", target_port)
    try:
        await asyncio.gather(_pass_on(reader, back_writer), _pass_on(back_reader, writer))
    finally:
        for one in (writer, back_writer):
            one.transport.abort()


@contextlib.contextmanager
def tls_front(target_port: int, folder: Path) -> Iterator[Front]:
    """Serve TLS for `target_port` while the block runs."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    front = {"ca": folder / "ca.pem", "cert": folder / "client.pem", "other_ca": folder / "other.pem"}
    authority.cert_pem.write_to_path(str(front["ca"]))
    authority.issue_cert("stagecrew.example").private_key_and_cert_chain_pem.write_to_path(str(front["cert"]))
    trustme.CA().cert_pem.write_to_path(str(front["other_ca"]))
    loop = asyncio.new_event_loop()
    ready, ports = threading.Event(), list[int]()
    stop = asyncio.Event()

    async def serve() -> None:
        calls: set[asyncio.Task[None]] = set()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            call = asyncio.ensure_future(_both_ways(target_port, reader, writer))
            calls.add(call)
            call.add_done_callback(calls.discard)

        server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
        # A caller that refuses our certificate, or has none, is the subject of a test, not a trouble of ours.
        loop.set_exception_handler(lambda *_: None)
        ports.append(server.sockets[0].getsockname()[1])
        ready.set()
        await stop.wait()
        server.close()
        ending = list(calls)
        for call in ending:
            call.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        # What was aborted is closed at the loop's next turn.
        await asyncio.sleep(0)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    ready.wait(30)
    try:
        yield Front(port=ports[0], **front)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()
