"""The object store: put, get, delete and list, on S3, Google Cloud, Azure or a folder.

Every trouble is a `StoreError` that says where and what to do, without secrets. A put is atomic: readers see the whole
object or none.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import AzureStore, GCSStore, LocalStore, S3Store

from worker.core.identity import digest
from worker.storage.errors import StoreError, without_query
from worker.storage.folder import Disk, read_whole, write_whole

#: One request to the store, and all tries of it, in seconds; obstore retries passing troubles within them.
REQUEST_S: Final = 60
ALL_TRIES_S: Final = 90
TRIES: Final = 3
#: No object of ours comes near this, unless STAGECREW_MAX_OUTPUT_BYTES is raised far.
MAX_OBJECT_BYTES: Final = 1024 * 1024 * 1024
PROBE_NAME: Final = ".stagecrew-probe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An object as the store lists it: its name below the store's prefix, and when it was written last (ms)."""

    name: str
    modified_ms: int


class ObjectStore(Protocol):
    """What stagecrew needs of a store; names are relative to its prefix."""

    async def put(self, name: str, data: bytes, *, media_type: str) -> None:
        """Write an object, whole or not at all. Raises StoreError."""

    async def get(self, name: str, *, longest_bytes: int = MAX_OBJECT_BYTES) -> bytes | None:
        """Return an object, or None when there is none. Raises StoreError, also for one that is larger."""

    async def delete(self, name: str) -> None:
        """Remove an object; it is no error when there is none. Raises StoreError."""

    def listed(self, prefix: str = "") -> AsyncIterator[Listed]:
        """Give the objects below a folder (all of them without one), in no order. Raises StoreError."""

    def describe(self) -> str:
        """Return where the store is, for people."""


class Store:
    """An object store by obstore."""

    def __init__(self, inner: Any, prefix: str, where: str, remedy: str, *, folder: Path | None = None) -> None:
        """`inner`: obstore's store; `prefix`: put before every name; `where`, `remedy`: for messages.

        `folder`: where a store of files has them.
        """
        self._inner = inner
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._where = where
        self._remedy = remedy
        self._folder = folder
        self._disk = Disk()

    async def put(self, name: str, data: bytes, *, media_type: str) -> None:
        """Write an object, whole or not at all. Raises StoreError."""
        if self._folder is not None:
            # A folder keeps no media types; everywhere else browsers and CDNs go by them.
            path = self._folder / name
            await self._do("write", name, lambda _: self._disk.run(lambda: write_whole(path, data)))
            return
        attributes = {"Content-Type": media_type}
        await self._do("write", name, lambda path: obstore.put_async(self._inner, path, data, attributes=attributes))

    async def get(self, name: str, *, longest_bytes: int = MAX_OBJECT_BYTES) -> bytes | None:
        """Return an object, or None when there is none. Raises StoreError, also for one that is larger."""
        try:
            if self._folder is not None:
                path = self._folder / name
                found_here: bytes | None = await self._disk.run(lambda: read_whole(path, longest_bytes=longest_bytes))
                if found_here is not None and len(found_here) > longest_bytes:
                    raise self._too_large(name, longest_bytes)
                return found_here
            found = await obstore.get_async(self._inner, self._prefix + name)
            if found.meta["size"] > longest_bytes:
                raise self._too_large(name, longest_bytes)
            return bytes(await found.bytes_async())
        except (NotFoundError, FileNotFoundError):
            return None
        except (BaseError, OSError) as error:
            raise self._error("read", name, error) from error

    async def delete(self, name: str) -> None:
        """Remove an object; it is no error when there is none. Raises StoreError."""
        try:
            await obstore.delete_async(self._inner, self._prefix + name)
        except (NotFoundError, FileNotFoundError):
            return
        except (BaseError, OSError) as error:
            raise self._error("delete", name, error) from error

    async def listed(self, prefix: str = "") -> AsyncIterator[Listed]:
        """Give the objects below a folder (all of them without one), in no order. Raises StoreError."""
        try:
            async for some in obstore.list(self._inner, prefix=f"{self._prefix}{prefix}" or None):
                for found in some:
                    name = found["path"].removeprefix(self._prefix)
                    yield Listed(name=name, modified_ms=int(found["last_modified"].timestamp() * 1000))
        except NotFoundError:
            return
        except (BaseError, OSError) as error:
            raise self._error("list", prefix or "everything", error) from error

    async def probe(self) -> None:
        """Write, read and delete an object of our own. Raises StoreError when any of it does not work."""
        name = f"{PROBE_NAME}-{digest('probe', os.getpid())}"
        await self.put(name, b"stagecrew", media_type="text/plain")
        if await self.get(name) != b"stagecrew":
            message = f"{self._where} does not give back what was written to it"
            raise StoreError(message)
        await self.delete(name)

    def describe(self) -> str:
        """Return where the store is, for people."""
        return self._where

    async def _do(self, verb: str, name: str, call: Callable[[str], Any]) -> None:
        try:
            await call(self._prefix + name)
        except (BaseError, OSError) as error:
            raise self._error(verb, name, error) from error

    def _too_large(self, name: str, longest_bytes: int) -> StoreError:
        remedy = "stagecrew writes no such object; remove it"
        return StoreError(f"{name} in {self._where} has more than {longest_bytes} bytes; {remedy}")

    def _error(self, verb: str, name: str, error: Exception) -> StoreError:
        # The texts of the layers below may quote signed requests, so only the kind of trouble is passed on.
        return StoreError(f"could not {verb} {name} in {self._where} ({type(error).__name__}); {self._remedy}")


def open_store(url: str) -> Store:
    """Return the store at `url` (`s3://bucket/prefix`, `gs://`, `az://`, `file:///folder`).

    Raises StoreError when the URL is of no known kind. Credentials come from each cloud's usual places; for S3 those
    of the AWS SDK, `AWS_ENDPOINT_URL_S3` included. Nothing is connected to yet.
    """
    parts = urlsplit(url)
    client: Any = {"timeout": timedelta(seconds=REQUEST_S)}
    retry: Any = {"max_retries": TRIES, "retry_timeout": timedelta(seconds=ALL_TRIES_S)}
    prefix = unquote(parts.path)
    match parts.scheme:
        case "file":
            folder = Path(prefix)
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                message = f"the folder {folder} of STAGECREW_STORAGE_URL can't be made: {error.strerror}"
                raise StoreError(message) from error
            remedy = "check that it is writable and not full"
            return Store(LocalStore(str(folder)), "", f"the folder {folder}", remedy, folder=folder)
        case "s3":
            remedy = "check the bucket's name and region, and the credentials of the AWS SDK"
            return Store(_s3(parts.netloc, client, retry), prefix, f"s3://{parts.netloc}{prefix}", remedy)
        case "gs":
            inner: Any = GCSStore(parts.netloc, client_options=client, retry_config=retry)
            remedy = "check the bucket's name and GOOGLE_APPLICATION_CREDENTIALS"
            return Store(inner, prefix, f"gs://{parts.netloc}{prefix}", remedy)
        case "az":
            inner = AzureStore(parts.netloc, client_options=client, retry_config=retry)
            remedy = "check the container's name and AZURE_STORAGE_ACCOUNT_NAME and its credentials"
            return Store(inner, prefix, f"az://{parts.netloc}{prefix}", remedy)
        case _:
            message = "STAGECREW_STORAGE_URL must begin with s3://, gs://, az:// or file://"
            raise StoreError(message)


def _s3(bucket: str, client: Any, retry: Any) -> S3Store:
    import boto3  # noqa: PLC0415 - a fifth of a second that only S3 pays
    from obstore.auth.boto3 import Boto3CredentialProvider  # noqa: PLC0415

    session = boto3.Session()
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    config: dict[str, Any] = {"region": session.region_name or "us-east-1"}
    if endpoint:
        config["endpoint"] = endpoint
        client = client | {"allow_http": endpoint.startswith("http://")}
    provider = Boto3CredentialProvider(session) if session.get_credentials() else None
    return S3Store(bucket, client_options=client, retry_config=retry, credential_provider=provider, **config)


async def read_s3(url: str, longest_bytes: int) -> bytes | None:
    """Return the object at `s3://bucket/key`, or None when there is none. Raises StoreError.

    More than `longest_bytes` is not read: the answer is then one byte longer than that.
    """
    parts = urlsplit(url)
    client: Any = {"timeout": timedelta(seconds=REQUEST_S)}
    retry: Any = {"max_retries": TRIES, "retry_timeout": timedelta(seconds=ALL_TRIES_S)}
    inner = await asyncio.to_thread(_s3, parts.netloc, client, retry)
    try:
        found = await obstore.get_async(inner, parts.path.lstrip("/"))
        content = bytearray()
        async for piece in found.stream():
            content += piece
            if len(content) > longest_bytes:
                break
        return bytes(content[: longest_bytes + 1])
    except (NotFoundError, FileNotFoundError):
        return None
    except (BaseError, OSError) as error:
        message = (
            f"could not read {without_query(url)} ({type(error).__name__}); check the bucket and the AWS credentials"
        )
        raise StoreError(message) from error
