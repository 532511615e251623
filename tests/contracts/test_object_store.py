"""What every object store does: one suite over a folder and a real S3 server on loopback."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from worker.storage.errors import StoreError
from worker.storage.images import JPEG
from worker.storage.manifest import Manifest, Receipt, each_kept, find_earlier_life, write_outputs, write_receipt
from worker.storage.names import photo_folder
from worker.storage.outputs import FetchedImage
from worker.storage.store import Store, open_store, read_s3

RECEIPT = Receipt(
    account="default",
    listing_id="l/2",
    photo_id="p",
    fingerprint="f1",
    revision=1,
    job_id="gen_7",
    idempotency_key="k",
    created_at="2026-01-01T00:00:00Z",
)

Story = Callable[[Store], Coroutine[Any, Any, None]]


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """A real S3 server."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An S3 bucket that the AWS SDK's own variables lead to."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3_endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-of-aws")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    client = boto3.client("s3", endpoint_url=s3_endpoint)
    buckets = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
    if "photos" not in buckets:
        client.create_bucket(Bucket="photos", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    client.close()
    return "s3://photos/a prefix"


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Each kind of store in turn."""
    if request.param == "folder":
        return open_store(tmp_path.as_uri() + "/below/it")
    return open_store(request.getfixturevalue("s3"))


def test_what_is_put_can_be_got_and_deleted(store: Store) -> None:
    async def story() -> None:
        await store.put("a/b.jpg", b"content", media_type="image/jpeg")
        assert await store.get("a/b.jpg") == b"content"
        await store.put("a/b.jpg", b"other", media_type="image/jpeg")
        assert await store.get("a/b.jpg") == b"other"
        await store.delete("a/b.jpg")
        await store.delete("a/b.jpg")
        assert await store.get("a/b.jpg") is None

    asyncio.run(story())


def test_what_is_listed_is_what_was_put_under_the_names_by_which_it_can_be_got(store: Store) -> None:
    async def story() -> None:
        names = [f"some~listing/p_{number}/manifest.json" for number in range(5)]
        names += ["some~listing.2/x/receipt.json", "other/p.1/f/r2/manifest.json", "@north/l/p/manifest.json"]
        before_ms = int(time.time() * 1000)
        for name in names:
            await store.put(name, name.encode(), media_type="application/json")
        found = {listed.name: listed async for listed in store.listed()}
        assert set(names) <= set(found)
        assert [await store.get(name) for name in names] == [name.encode() for name in names]
        # S3 tells whole seconds.
        assert all(found[name].modified_ms >= before_ms - 2_000 for name in names)
        below = [listed.name async for listed in store.listed("some~listing/")]
        assert sorted(below) == names[:5]
        assert [listed.name async for listed in store.listed("nobody/")] == []
        kept = photo_folder("l/1", "p 1", "f1")
        await write(store)
        await write_receipt(store, RECEIPT.model_copy(update={"listing_id": "l/1", "photo_id": "p 1"}))
        everything = [one async for one in each_kept(store)]
        assert {type(one) for one in everything if one.listing_id == "l/1"} == {Manifest, Receipt}
        assert [one async for one in each_kept(store, modified_since_ms=before_ms + 3_600_000)] == []
        assert {one.job_id async for one in each_kept(store, prefix=f"{kept}/")} == {"gen_1", "gen_7"}

    asyncio.run(story())


def test_what_is_not_there_is_none_and_not_an_error(store: Store) -> None:
    assert asyncio.run(store.get("never/was.jpg")) is None


def test_the_probe_leaves_nothing(store: Store, tmp_path: Path) -> None:
    asyncio.run(store.probe())
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def image(content: bytes) -> FetchedImage:
    """Return a fetched image."""
    return FetchedImage(data=content, kind=JPEG, sha256="0" * 64, width=4, height=3)


async def write(store: Store, photo_id: str = "p 1") -> Manifest:
    """Write the outputs of a photo."""
    return await write_outputs(
        store,
        account="default",
        listing_id="l/1",
        photo_id=photo_id,
        partner="acme",
        fingerprint="f1",
        revision=1,
        request={"source": "https://cdn.example.com/a.jpg?token=secret"},
        reference="generation-key",
        source_sha256=None,
        job_id="gen_1",
        source_asset_id="src_1",
        images=[("primary", image(b"one")), ("alternate", image(b"two"))],
        created_at="2026-01-01T00:00:00Z",
        staged_at="2026-01-01T00:01:00Z",
        metadata={"k": "v"},
    )


def test_a_manifest_names_its_outputs_and_is_found_again(store: Store) -> None:
    async def story() -> None:
        written = await write(store)
        assert await find_earlier_life(store, "l/1", "p 1", "f1") == written
        assert [await store.get(output.name) for output in written.outputs] == [b"one", b"two"]
        assert await find_earlier_life(store, "l/1", "p 1", "f2") is None
        assert "secret" not in str(await store.get(f"{photo_folder('l/1', 'p 1', 'f1')}/manifest.json"))

    asyncio.run(story())


def test_a_receipt_is_found_as_long_as_there_is_no_manifest(store: Store) -> None:
    async def story() -> None:
        await write_receipt(store, RECEIPT)
        assert await find_earlier_life(store, "l/2", "p", "f1") == RECEIPT

    asyncio.run(story())


def test_a_damaged_manifest_counts_as_absent_and_fields_of_a_newer_release_are_ignored(store: Store) -> None:
    async def story() -> None:
        name = f"{photo_folder('l/1', 'p 2', 'f1')}/manifest.json"
        written = await write(store, "p 2")
        content = await store.get(name)
        assert content is not None
        await store.put(name, content[:-1] + b',"of_tomorrow":1}', media_type="application/json")
        assert await find_earlier_life(store, "l/1", "p 2", "f1") == written
        await store.put(name, content[: len(content) // 2], media_type="application/json")
        assert await find_earlier_life(store, "l/1", "p 2", "f1") is None

    asyncio.run(story())


def test_trouble_with_a_store_says_where_and_what_to_do_without_secrets(s3: str) -> None:
    missing = open_store("s3://no-such-bucket")
    with pytest.raises(StoreError) as caught:
        asyncio.run(missing.put("a", b"b", media_type="text/plain"))
    assert "s3://no-such-bucket" in str(caught.value)
    assert "check the bucket" in str(caught.value)
    assert "a-secret-of-aws" not in repr(caught.value.__cause__) + str(caught.value)


def test_a_folder_that_can_not_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="can't be made"):
        open_store((tmp_path / "file" / "below").as_uri())


def test_a_store_of_no_known_kind_is_refused() -> None:
    with pytest.raises(StoreError, match="must begin with"):
        open_store("ftp://example.com")


def test_a_source_in_s3_is_read_up_to_its_limit(s3: str) -> None:
    async def story() -> None:
        await open_store("s3://photos").put("source.jpg", b"0123456789", media_type="image/jpeg")
        assert await read_s3("s3://photos/source.jpg", 10) == b"0123456789"
        assert await read_s3("s3://photos/source.jpg", 4) == b"01234"
        assert await read_s3("s3://photos/none.jpg", 4) is None

    asyncio.run(story())
