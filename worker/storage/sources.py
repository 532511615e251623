"""Reads a photo's source: https, a file, or S3. What comes back is a picture, within the size limit."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from worker.storage.errors import SourceError, StoreError, without_query
from worker.storage.folder import Disk, read_whole
from worker.storage.images import looks_like, sniff
from worker.storage.public import Refused
from worker.storage.store import read_s3
from worker.storage.web import Interrupted, TooLarge, Web

DEADLINE_S: Final = 120.0
_RETRYABLE_STATUS: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
#: Names of query parameters that sign a URL for a while; such a URL does not last.
_SIGNED: Final = ("x-amz-signature", "x-goog-signature", "sig", "signature", "expires", "token")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceImage:
    """A source as it will be sent; the name is derived from the content, so that a repeated upload is the same."""

    data: bytes = field(repr=False)
    media_type: str
    sha256: str
    filename: str


class SourceReader:
    """Reads sources; one a process."""

    def __init__(self, *, allow_private_hosts: bool, max_bytes: int) -> None:
        """`max_bytes`: a larger source is refused."""
        self._web = Web(allow_private_hosts=allow_private_hosts, deadline_s=DEADLINE_S)
        self._max_bytes = max_bytes
        self._disk = Disk()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._web.aclose()

    async def read(self, source: str) -> SourceImage:
        """Return the picture at `source`. Raises SourceError with the cause and the remedy."""
        shown = without_query(source) if "://" in source else source
        scheme = urlsplit(source).scheme
        if scheme in {"http", "https"}:
            data = await self._download(source, shown)
        elif scheme == "s3":
            data = await self._from_s3(source, shown)
        else:
            data = await self._disk.run(lambda: self._from_file(source))
        if len(data) > self._max_bytes:
            raise _too_large(shown, self._max_bytes)
        kind = sniff(data)
        if kind is None:
            message = f"the source {shown} is not a picture: {looks_like(data)}; give a JPEG, PNG or WebP"
            raise SourceError(message)
        sha256 = hashlib.sha256(data).hexdigest()
        filename = f"{sha256[:24]}.{kind.extension}"
        return SourceImage(data=data, media_type=kind.media_type, sha256=sha256, filename=filename)

    @staticmethod
    def is_public_https(source: str) -> bool:
        """Say whether the API can fetch `source` itself, now and on a repeated call: https and not signed."""
        parts = urlsplit(source)
        signed = {name.lower() for name in parse_qs(parts.query)} & set(_SIGNED)
        return parts.scheme == "https" and not signed

    async def _download(self, url: str, shown: str) -> bytes:
        try:
            answer = await self._web.get(url, longest_bytes=self._max_bytes)
        except TooLarge:
            raise _too_large(shown, self._max_bytes) from None
        except Refused as error:
            message = f"the source {shown} is refused: {error}; give a public https address"
            raise SourceError(message) from error
        except Interrupted as error:
            message = f"the source {shown} could not be read: {error}; is its host reachable from the workers?"
            raise SourceError(message, retryable=True) from error
        if not 200 <= answer.status < 300:  # noqa: PLR2004
            message = f"the source {shown} answered {answer.status}; is the address right and public?"
            raise SourceError(message, retryable=answer.status in _RETRYABLE_STATUS)
        return answer.data

    async def _from_s3(self, source: str, shown: str) -> bytes:
        try:
            data = await read_s3(source, self._max_bytes)
        except StoreError as error:
            raise SourceError(str(error), retryable=True) from error
        if data is None:
            message = f"there is no object {shown}; is the key right?"
            raise SourceError(message)
        return data

    def _from_file(self, source: str) -> bytes:
        path = Path(unquote(urlsplit(source).path)) if source.startswith("file://") else Path(source)
        try:
            found = read_whole(path, longest_bytes=self._max_bytes)
        except OSError as error:
            message = f"the file {path} can't be read: {error.strerror or type(error).__name__}; is it on this worker?"
            raise SourceError(message) from error
        except ValueError as error:
            message = f"{source!r} is no path"
            raise SourceError(message) from error
        if found is None:
            raise SourceError(f"there is no file {path}; is it on this worker?")
        return found


def _too_large(shown: str, max_bytes: int) -> SourceError:
    limit = f"{max_bytes / 1_000_000:.0f} MB" if max_bytes >= 1_000_000 else f"{max_bytes} bytes"  # noqa: PLR2004
    message = f"the source {shown} is larger than {limit}; scale it down or raise STAGECREW_MAX_SOURCE_BYTES"
    return SourceError(message)
