"""Whatever the API answers, the photo keeps a state that has a name, goes on by itself, and is bought once.

A real server on loopback misbehaves for some calls, as drawn, and then does what the contract says; the steps run
through the real client, ledger and store.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from PIL import Image
from redis import Redis

from config.settings import Settings, load_settings
from tests.fuzz.conftest import json_values, tried
from worker.core.photo import ENDED, HELD, NewListing, NewPhoto, Stage
from worker.core.request import canonical_request
from worker.flow.dispatching import Orders
from worker.katalo.client import MAX_ANSWER_BYTES, KataloClient
from worker.katalo.errors import KataloError
from worker.pipeline.batch import Batches
from worker.services import Services, open_services

#: API time passes so much faster that a back-off of minutes is over at once, and the 23 h of a key last 40 s.
SPEED = 2_000
#: Bad answers are over by then, and what follows them.
MOST_ROUNDS = 300
FIELDS = (
    "status",
    "ingest_id",
    "source_asset_id",
    "job_id",
    "outputs",
    "failure",
    "error",
    "metadata",
    "reference",
    "data",
)


@cache
def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "JPEG")
    return out.getvalue()


@dataclass
class Answer:
    """What the server says to one call: raw, and whether it can be taken for "nothing was created"."""

    status: int
    body: bytes
    headers: str = "content-type: application/json\r\n"
    breaks_off: bool = False

    @property
    def refuses(self) -> bool:
        return 400 <= self.status < 500 and self.status != 408


@dataclass
class Api:
    """The server: answers as drawn first, then as it should."""

    drawn: list[Answer] = field(default_factory=list)
    address: str = ""
    #: Each create: key, body, and the answer that was drawn for it.
    creates: list[tuple[str, bytes, Answer | None]] = field(default_factory=list)

    def good(self, method: str, path: str) -> bytes:
        if path.endswith(".jpg"):
            return picture()
        if method == "POST" and path.endswith("/source-assets"):
            return json.dumps({"ingest_id": "ing_1", "status": "ready", "source_asset_id": "src_1"}).encode()
        if "/source-assets/" in path:
            return json.dumps({"ingest_id": "ing_1", "status": "ready", "source_asset_id": "src_1"}).encode()
        if method == "POST":
            return json.dumps({"job_id": "gen_1", "status": "queued"}).encode()
        if "/generations/" in path:
            return json.dumps({"job_id": "gen_1", "status": "succeeded", "outputs": [f"{self.address}/1.jpg"]}).encode()
        return b"{}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            method, path = head.split(" ")[:2]
            lines = [line.partition(": ") for line in head.split("\r\n")[1:]]
            fields = {name.lower(): value for name, _, value in lines}
            body = await reader.readexactly(int(fields.get("content-length", 0)))
            # The store's pictures are not the API's to spoil here.
            drawn = self.drawn.pop(0) if self.drawn and not path.endswith(".jpg") else None
            if method == "POST" and "generations" in path:
                self.creates.append((fields["idempotency-key"], body, drawn))
            answer = drawn or Answer(200, self.good(method, path))
            length = len(answer.body) + 100 * answer.breaks_off
            said = f"HTTP/1.1 {answer.status} Said\r\ncontent-length: {length}\r\nconnection: close\r\n"
            writer.write(f"{said}{answer.headers}\r\n".encode("latin-1", "replace") + answer.body)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def serving(drawn: list[Answer]) -> AsyncIterator[Api]:
    api = Api(drawn=drawn)
    server = await asyncio.start_server(api.serve, "127.0.0.1", 0)
    async with server:
        api.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield api


bodies = st.one_of(
    json_values.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=5).map(lambda value: json.dumps(value).encode()),
    st.sampled_from(["succeeded", "failed", "ready", "running", 7, None]).flatmap(
        lambda status: st.dictionaries(st.sampled_from(FIELDS[1:]), json_values, max_size=4).map(
            lambda value: json.dumps({"status": status, "job_id": "gen_1", "ingest_id": "ing_1", **value}).encode()
        )
    ),
    st.dictionaries(st.sampled_from(["code", "message", "retryable", "retry_after"]), json_values).map(
        lambda value: json.dumps({"error": value}).encode()
    ),
    st.sampled_from([b"", b"<html>gateway</html>", b"\xff\xfe", b"[" * 50_000, b'{"job_id": "gen_1"', b"9" * 6_000]),
)
answers = st.builds(
    Answer,
    status=st.sampled_from([200, 201, 202, 204, 301, 400, 402, 404, 408, 409, 418, 422, 429, 500, 502, 503, 504]),
    body=bodies,
    headers=st.sampled_from(
        ["", "content-type: application/json\r\n", "retry-after: 1\r\n", "retry-after: x\r\n", "retry-after: -1e9\r\n",
         "content-encoding: gzip\r\n", "content-encoding: br\r\n", "location: http://127.0.0.1:1/\r\n", "x: \xff\r\n"]
    ),
    breaks_off=st.booleans(),
)  # fmt: skip


@tried(60)
@given(answers)
def test_every_call_ends_in_an_answer_or_in_an_error_that_says_what_to_do(answer: Answer) -> None:
    async def live() -> None:
        async with (
            serving([]) as api,
            KataloClient(base_url=api.address, api_key="kat_live_abc.very-secret-key") as client,
        ):
            calls = {
                "upload": lambda: client.upload_source(picture(), "a.jpg", "image/jpeg", "k"),
                "ingest": lambda: client.ingest("ing_1"),
                "create": lambda: client.create_generation(b"{}", "k"),
                "read": lambda: client.generation("gen_1"),
                "regenerate": lambda: client.regenerate("gen_1", b"{}", "k"),
                "usage": client.usage,
                "billing": client.billing,
            }
            for call in calls.values():
                api.drawn = [answer]
                try:
                    said = repr(await call())
                except KataloError as error:
                    said = str(error)
                    assert said.isprintable() and len(said) < 1_000, said  # noqa: PT018 - an answer is as good
                assert "very-secret-key" not in said

    asyncio.run(live())


def _settings(redis_url: str, folder: Path, api: Api) -> Settings:
    return load_settings(
        {
            "STAGECREW_REDIS_URL": redis_url,
            "STAGECREW_STORAGE_URL": (folder / "output").as_uri(),
            "STAGECREW_ALLOW_PRIVATE_HOSTS": "true",
            "STAGECREW_SPEED": str(SPEED),
            "STAGECREW_INGEST_DEADLINE_S": "100000",
            "STAGECREW_GUARD_MS": "60000",
            "STAGECREW_LIMITS__GENERATIONS": "10000/60s",
            "STAGECREW_LIMITS__SOURCE_ASSETS": "10000/60s",
            "STAGECREW_LIMITS__GENERATION_READS": "10000/60s",
            "STAGECREW_LIMITS__INGEST_READS": "10000/60s",
            "KATALO_BASE_URL": api.address,
            "KATALO_API_KEY": "kat_live_abc.very-secret-key",
        }
    )


async def _stages(services: Services) -> dict[Stage, int]:
    found = (await services.ledger.snapshot()).stages
    return {stage: number for stage, number in found.items() if number}


async def _staged(services: Services, folder: Path) -> dict[Stage, int]:
    """Enqueue a photo and run its steps until it has ended or waits for a person; return the stages."""
    source = folder / "source.jpg"
    source.write_bytes(picture())
    request = canonical_request(source=source.as_uri(), mode="clean")
    photo = NewPhoto(photo_id="photo", request=request, metadata={})
    await services.ledger.unused_api()
    await services.ledger.enqueue([NewListing(listing_id="listing", photos=(photo,), metadata={})])
    await services.admission.heartbeat("w", hands=10, busy=0, version="1")
    batches = Batches(services, lease_s=20)
    for _ in range(MOST_ROUNDS):
        stages = await _stages(services)
        assert sum(stages.values()) == 1, "the photo is in one stage"
        if set(stages) <= ENDED | HELD:
            return stages
        orders = await services.account.dispatching.dispatch("w")
        if isinstance(orders, Orders) and orders.photos:
            for sent in orders.photos:
                await batches.run(sent.step, [(sent.key, sent.token, sent.label)])
        elif isinstance(orders, Orders):
            await services.account.redis.blpop(["nobody"], timeout=min(orders.again_ms, 50) / 1000 or 0.001)
    return stages


@tried(25)
@given(st.lists(answers, min_size=1, max_size=5))
def test_no_answer_loses_a_photo_or_buys_it_twice(
    redis_server: Any, tmp_path_factory: pytest.TempPathFactory, drawn: list[Answer]
) -> None:
    folder = tmp_path_factory.mktemp("api")
    with Redis.from_url(redis_server.url) as client:
        client.flushall()

    async def live() -> None:
        async with serving(list(drawn)) as api, open_services(_settings(redis_server.url, folder, api)) as services:
            stages = await _staged(services, folder)
            event(", ".join(stages))
            assert set(stages) <= ENDED | HELD, f"it goes on by itself: {stages}"
            bodies: dict[str, bytes] = {}
            for key, body, _ in api.creates:
                assert bodies.setdefault(key, body) == body, "a key was used with other bytes"
            may_exist = {key for key, _, answer in api.creates if answer is None or not answer.refuses}
            assert len(may_exist) <= 1, "a second job was asked for while a first may exist"
            if Stage.DONE in stages:
                assert list(folder.rglob("manifest.json"))
            else:
                [view] = [view for stage in HELD | ENDED for view in await services.ledger.photos(stage, limit=10)]
                assert view.error_code
                assert view.error_message

    asyncio.run(live())


def test_a_server_that_never_stops_sending_fills_no_memory() -> None:
    """Plain, and as a gzip stream of which each kilobyte is a megabyte."""
    import gzip

    sent: list[int] = []

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        packed = b"packed" in head
        writer.write(b"HTTP/1.1 200 OK\r\n" + (b"content-encoding: gzip\r\n" if packed else b"") + b"\r\n")
        piece = gzip.compress(bytes(64 * 1024 * 1024)) if packed else b"x" * 65_536
        total = 0
        try:
            while total < 64 * MAX_ANSWER_BYTES:
                writer.write(piece)
                total += len(piece)
                await writer.drain()
        except OSError:
            return
        finally:
            sent.append(total)
            writer.close()

    async def live() -> None:
        server = await asyncio.start_server(endless, "127.0.0.1", 0)
        async with server:
            address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            async with KataloClient(base_url=address, api_key="a-key-of-tests") as client:
                for job in ("plain", "packed"):
                    with pytest.raises(KataloError, match="the answer exceeds"):
                        await client.generation(job)

    asyncio.run(live())
    assert max(sent) < 8 * MAX_ANSWER_BYTES
