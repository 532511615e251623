"""What can go wrong outside the API: the store, the user's sources, the download of outputs. No message has a query."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit


class StoreError(Exception):
    """The object store did not do what it was asked to; trying again may help."""


class SourceError(Exception):
    """A photo's source can't be used; `retryable` says whether trying again may help."""

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        """`message` names the source, the cause and the remedy."""
        super().__init__(message)
        self.retryable = retryable


class UrlExpired(Exception):  # noqa: N818 - a state of a URL, not an error of ours
    """A signed URL is not accepted (any more); reading the job gives a new one."""


class DownloadFailed(Exception):  # noqa: N818 - named after what happened
    """An output did not arrive whole; trying again may help."""


class OutputTooLarge(DownloadFailed):
    """An output is larger than the settings allow; it will be so again."""


class NotAnImage(Exception):  # noqa: N818 - named after what was found
    """What arrived as an output is not a picture."""


def without_query(url: str) -> str:
    """Return a URL that is fit for messages: no user, no query, no fragment."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "(unreadable URL)"
    return urlunsplit((parts.scheme, f"{host}{port}", parts.path, "", ""))
