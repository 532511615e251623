"""Where a photo's source is, in one canonical form: two spellings of one file are one request and cost one job.

| given | becomes |
|---|---|
| `https://...`, `http://...`, `s3://bucket/key` | itself, character for character: a signed URL must not be changed |
| `file:///folder/a b.jpg` | `file:///folder/a%20b.jpg` |
| a path, absolute or relative to the base folder | the same file's `file://` URL |

Nothing is opened here: whether the file is there is for the worker that reads it to say. `..` is resolved by name.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import unquote, urlsplit

from worker.intake.outcome import shown
from worker.storage.errors import without_query

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://|(data):", re.IGNORECASE)
_REMOTE: Final = frozenset({"https", "http", "s3"})
#: Far longer than any signed URL; a longer one is an embedded picture or a mistake.
MAX_SOURCE_CHARACTERS: Final = 8_192
_KINDS: Final = "give an https:// address, an s3://bucket/key, a file:// address or a path"


class BadSource(ValueError):  # noqa: N818 - named after what was found
    """A source that no worker could read; says the problem and the remedy."""

    def __init__(self, problem: str, remedy: str) -> None:
        """Neither text contains the query of a URL."""
        super().__init__(f"{problem}; {remedy}")
        self.problem = problem
        self.remedy = remedy


#: Which files a record may name: all, none (records from over the network), or those below a folder.
LocalFiles: TypeAlias = bool | Path


def canonical_source(source: str, *, base: Path | None, local_files: LocalFiles = True) -> str:
    """Return the canonical form of `source`; a relative path is one below `base`.

    `base` None refuses relative paths. Raises BadSource.
    """
    if not source.strip():
        raise BadSource("there is no source", _KINDS)
    if len(source) > MAX_SOURCE_CHARACTERS:
        raise BadSource(f"the source has {len(source):,} characters, {MAX_SOURCE_CHARACTERS:,} are allowed", _KINDS)
    found = _SCHEME.match(source)
    scheme = (found[1] or found[2]).lower() if found else "file"
    if scheme in _REMOTE:
        return _remote(source, scheme)
    if scheme != "file":
        raise BadSource(f"sources can't be read from {scheme}:", _KINDS)
    if local_files is False:
        raise BadSource("files of this machine can't be named here", "give an https:// address or an s3://bucket/key")
    path = _local(source, base, is_url=found is not None)
    if isinstance(local_files, Path) and not path.is_relative_to(os.path.abspath(local_files)):  # noqa: PTH100 - as in `_local`
        raise BadSource(
            f"files can be named below {local_files} only", "give one that is there, or an https:// address"
        )
    return path.as_uri()


def _remote(source: str, scheme: str) -> str:
    try:
        parts = urlsplit(source)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise BadSource(f"the address can't be read ({str(error).split(':', maxsplit=1)[0]})", _KINDS) from None
    if not host:
        raise BadSource(f"{shown(without_query(source))} names no {'bucket' if scheme == 's3' else 'host'}", _KINDS)
    if scheme == "s3" and not parts.path.strip("/"):
        raise BadSource(f"{shown(without_query(source))} names a bucket only", "add the object's key: s3://bucket/key")
    return source


def _local(source: str, base: Path | None, *, is_url: bool) -> Path:
    text = source
    if is_url:
        rest = source[len("file://") :]
        host, slash, path = rest.partition("/")
        if host.lower() not in {"", "localhost"} or not slash:
            remedy = "write file:/// and the absolute path (three slashes), or just the path"
            raise BadSource(f"{shown(source)} names a host, not a file of this machine", remedy)
        text = unquote(f"/{path}")
        if "\x00" in text:
            raise BadSource("the path has a NUL character", "give the path of a picture")
    if not Path(text).is_absolute():
        if base is None:
            raise BadSource(f"the path {shown(source)} is relative", "give an absolute path, or an https:// address")
        text = os.path.join(base, text)  # noqa: PTH118 - keeps `text` as written, `abspath` below resolves it
    return Path(os.path.abspath(text))  # noqa: PTH100 - by name only; `resolve` would ask the disk
