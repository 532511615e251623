"""A small S3: objects in memory, by the requests that an object store is sent. Quick, for runs of many photos.

What real S3 answers is held by `tests/contracts`; the short run uses moto.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from chaos.wire import Answering, Message, answer

_XML = "application/xml"


class Objects(Answering):
    """The server; `kept` has the objects of all buckets as `bucket/key`."""

    def __init__(self, kept: Mapping[str, bytes] | None = None) -> None:
        """`kept`: what is there from the beginning."""
        now = datetime.now(UTC)
        self.kept: dict[str, tuple[bytes, datetime]] = {name: (data, now) for name, data in (kept or {}).items()}

    def _answer(self, request: Message) -> bytes:
        target = urlsplit(request.target)
        name = unquote(target.path).lstrip("/")
        match request.method:
            case "PUT":
                self.kept[name] = (request.body, datetime.now(UTC))
                return answer(200, _XML, ETag=_etag(request.body))
            case "DELETE":
                self.kept.pop(name, None)
                return answer(204, _XML)
            case "GET" if "list-type" in target.query:
                return answer(200, _XML, self._listed(name.strip("/"), parse_qs(target.query)))
            case "GET" | "HEAD" if name in self.kept:
                data, at = self.kept[name]
                at_text = format_datetime(at, usegmt=True)
                found = answer(200, "binary/octet-stream", data, ETag=_etag(data), Last_Modified=at_text)
                return found if request.method == "GET" else found[: len(found) - len(data)]
        return answer(404, _XML, b"<Error><Code>NoSuchKey</Code></Error>")

    def _listed(self, bucket: str, query: dict[str, list[str]]) -> bytes:
        below = f"{bucket}/{query.get('prefix', [''])[0]}"
        found = "".join(
            f"<Contents><Key>{escape(name.removeprefix(f'{bucket}/'))}</Key>"
            f"<LastModified>{at.isoformat()[:23]}Z</LastModified><ETag>{_etag(data)}</ETag><Size>{len(data)}</Size></Contents>"
            for name, (data, at) in sorted(self.kept.items())
            if name.startswith(below)
        )
        whole = f"<Name>{bucket}</Name><IsTruncated>false</IsTruncated>{found}"
        return f"<ListBucketResult>{whole}</ListBucketResult>".encode()


def _etag(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
