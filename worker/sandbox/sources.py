"""Sources as they come in with `POST /source-assets`: one file of a multipart body, or an address to fetch it from.

What can't be used is taken in all the same and fails in its ingest, as the contract has it (section 8).
"""

from __future__ import annotations

import asyncio
import io
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from PIL import Image, UnidentifiedImageError
from starlette.requests import Request

from worker.sandbox.shapes import Refusal

if TYPE_CHECKING:
    from worker.sandbox.api import Sandbox

_FILE_FIELD: Final = re.compile(rb'\bname="file"')
_FILE_NAME: Final = re.compile(rb'\bfilename="([^"\r\n]*)"')
#: Until a source that is fetched must have come, in seconds of real time.
FETCH_S: Final = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source's bytes (its address, where none came), why it can't be used, and its file's name."""

    data: bytes
    kind: str
    failure: str | None
    file_name: str = ""


async def source_of(sandbox: Sandbox, request: Request, body: bytes) -> Source:
    """Return what a request brings. Raises Refusal."""
    content_type = request.headers.get("content-type", "")
    most_bytes = sandbox.config.max_source_bytes
    if content_type.startswith("multipart/form-data"):
        data, name = _file_part(content_type, body)
        failure = await asyncio.to_thread(unusable, data, most_bytes)
        return Source(data=data, kind="image", failure=failure, file_name=name)
    fields = object_of(body)
    url = fields.get("source_url")
    if set(fields) != {"source_url"} or not isinstance(url, str):
        raise Refusal("bad_request", "give exactly one of source_url and file")
    sandbox.admit("source_fetches")
    if not sandbox.config.fetch_sources:
        return Source(
            data=url.encode(), kind="url", failure="source_url could not be fetched: the sandbox reaches no other host"
        )
    name = url.partition("?")[0].rpartition("/")[2]
    try:
        data = await _fetched(url, most_bytes)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        why = f"source_url could not be fetched: {error or type(error).__name__}"
        return Source(data=url.encode(), kind="url", failure=why, file_name=name)
    failure = await asyncio.to_thread(unusable, data, most_bytes)
    return Source(data=data, kind="image", failure=failure, file_name=name)


def object_of(body: bytes) -> dict[str, Any]:
    """Return a body's JSON object. Raises Refusal."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Refusal("bad_request", "the body is not a JSON object")
    return found


def unusable(data: bytes, most_bytes: int) -> str | None:
    """Return why bytes are no picture that can be staged; None when they are one."""
    if len(data) > most_bytes:
        return f"the image is larger than {most_bytes} bytes"
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.verify()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return "the file is not an image that can be decoded"
    return None


async def _fetched(url: str, most_bytes: int) -> bytes:
    """Return what is at `url`. Raises ClientError, TimeoutError, ValueError."""
    timeout = aiohttp.ClientTimeout(total=FETCH_S)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url, allow_redirects=False) as answer:
        if answer.status != 200:  # noqa: PLR2004
            message = f"it answered {answer.status}"
            raise ValueError(message)
        data = await answer.content.read(most_bytes + 1)
        while len(data) <= most_bytes and (more := await answer.content.read(most_bytes + 1 - len(data))):
            data += more
        return data


def _file_part(content_type: str, body: bytes) -> tuple[bytes, str]:
    boundary = content_type.partition("boundary=")[2].strip('"').encode()
    parts = body.split(b"--" + boundary)[1:-1] if boundary else []
    files = [part for part in parts if _FILE_FIELD.search(part.partition(b"\r\n\r\n")[0])]
    if len(parts) != 1 or len(files) != 1:
        raise Refusal("bad_request", "send one part named file, and nothing else")
    head, _, content = files[0].partition(b"\r\n\r\n")
    name = _FILE_NAME.search(head)
    return content.removesuffix(b"\r\n"), name[1].decode("utf-8", "replace") if name else ""
