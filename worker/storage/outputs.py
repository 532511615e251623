"""Fetches the outputs of jobs from their signed URLs: whole, of a known kind, within the size limit.

The API's key is never sent there, and no message carries a URL's query.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

from worker.storage.errors import DownloadFailed, NotAnImage, OutputTooLarge, UrlExpired, without_query
from worker.storage.images import ImageType, dimensions, is_complete, looks_like, sniff
from worker.storage.public import Refused
from worker.storage.web import Interrupted, TooLarge, Web

DEADLINE_S: Final = 120.0
#: With these the storage says that a URL is not good (any more); a new one comes with the next read of the job.
EXPIRED: Final = frozenset({400, 401, 403, 404, 410})


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedImage:
    """One output, complete; width and height in pixels where its header says them."""

    data: bytes = field(repr=False)
    kind: ImageType
    sha256: str
    width: int | None
    height: int | None


class OutputFetcher:
    """Fetches outputs; one a process."""

    def __init__(self, *, allow_private_hosts: bool, max_bytes: int) -> None:
        """`max_bytes`: a larger output is not kept."""
        self._web = Web(allow_private_hosts=allow_private_hosts, deadline_s=DEADLINE_S)
        self._max_bytes = max_bytes

    async def aclose(self) -> None:
        """Close all connections."""
        await self._web.aclose()

    async def fetch(self, url: str) -> FetchedImage:
        """Return the picture at a signed URL. Raises UrlExpired, DownloadFailed or NotAnImage."""
        shown = without_query(url)
        try:
            answer = await self._web.get(url, longest_bytes=self._max_bytes)
        except TooLarge:
            message = f"the output {shown} is larger than STAGECREW_MAX_OUTPUT_BYTES ({self._max_bytes})"
            raise OutputTooLarge(message) from None
        except (Interrupted, Refused) as error:
            message = f"the output {shown} did not arrive: {error}"
            raise DownloadFailed(message) from error
        if answer.status in EXPIRED:
            message = f"the URL of the output {shown} was not accepted ({answer.status})"
            raise UrlExpired(message)
        if not 200 <= answer.status < 300:  # noqa: PLR2004
            message = f"the output {shown} answered {answer.status}"
            raise DownloadFailed(message)
        kind = sniff(answer.data)
        if kind is None:
            message = f"the output {shown} is not a picture: {looks_like(answer.data)}"
            raise NotAnImage(message)
        if not is_complete(answer.data, kind):
            message = f"the output {shown} ends too early ({len(answer.data)} bytes)"
            raise DownloadFailed(message)
        width, height = dimensions(answer.data) or (None, None)
        sha256 = hashlib.sha256(answer.data).hexdigest()
        return FetchedImage(data=answer.data, kind=kind, sha256=sha256, width=width, height=height)
