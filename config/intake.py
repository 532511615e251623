"""The settings of intake from the network: bearer tokens, the largest body, a folder that messages may name.

Of a token only its SHA-256 is kept, and a candidate is compared in constant time. It is never in a repr, a log or a
settings dump, because nothing here holds it after it was read.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

#: Shorter ones can be guessed; `openssl rand -hex 32` prints 64.
LEAST_CHARACTERS: Final = 16
#: What RFC 6750 allows in a bearer token.
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")


@dataclass(frozen=True, slots=True)
class Tokens:
    """One or more tokens, any of which opens the door."""

    digests: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def of(cls, text: str) -> Tokens:
        """Return the tokens of a comma-separated text. Raises ValueError saying which by its place, never the token."""
        tokens = [token.strip() for token in text.split(",") if token.strip()]
        for place, token in enumerate(tokens, 1):
            which = f"token {place}" if len(tokens) > 1 else "the token"
            if len(token) < LEAST_CHARACTERS:
                message = f"{which} has fewer than {LEAST_CHARACTERS} characters; make one with: openssl rand -hex 32"
                raise ValueError(message)
            if not _TOKEN.fullmatch(token):
                message = f"{which} has a character that no bearer token has; use letters, digits and ._~+/-"
                raise ValueError(message)
        if not tokens:
            message = "there is no token in it; give one or more, separated by commas"
            raise ValueError(message)
        return cls(tuple(_digest(token) for token in tokens))

    def fits(self, candidate: str) -> bool:
        """Say whether `candidate` is one of the tokens; takes as long whichever it is, and when it is none."""
        return self.which(candidate) is not None

    def which(self, candidate: str) -> int | None:
        """Return the place of `candidate` among the tokens, or None; takes as long whichever it is."""
        found = _digest(candidate)
        fitting = [hmac.compare_digest(found, digest) for digest in self.digests]
        return fitting.index(True) if any(fitting) else None


def _read(value: object) -> object:
    return Tokens.of(value) if isinstance(value, str) else value


def _absolute(value: Path | None) -> Path | None:
    if value is not None and not value.is_absolute():
        message = "it must be an absolute path, the same on every worker"
        raise ValueError(message)
    return value


IntakeTokens = Annotated[
    Tokens | None,
    BeforeValidator(_read),
    # Not even the digests are to be written down.
    PlainSerializer(lambda tokens: None if tokens is None else "**********"),
    Field(
        description="Bearer tokens of the HTTP intake, one or more, separated by commas; without any it takes nothing."
    ),
]
IntakeMaxBytes = Annotated[
    int,
    Field(ge=1024, description="Bytes of the largest body of `POST /v1/listings`; JSON Lines are read as they come."),
]
EnqueueFilesBelow = Annotated[
    Path | None,
    AfterValidator(_absolute),
    Field(
        description="Folder below which `stagecrew.enqueue` messages may name files of the workers' disks; none unless "
        "set, because whoever reaches the broker could have any picture there staged."
    ),
]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
