"""The keys that sign the fleet's Celery messages, `STAGECREW_MESSAGE_KEY`; they are in no repr, log or dump.

What is signed is what a message makes a worker do: the task's name, the message's id, and the arguments, as JSON with
sorted names, without blanks and in ASCII, so that a producer in any language can do it (docs/security.md).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, PlainSerializer

#: Shorter ones can be guessed; `openssl rand -hex 32` prints 64.
LEAST_CHARACTERS: Final = 16
#: The header of a message that has its signature, in hex.
HEADER: Final = "stagecrew-signature"


@dataclass(frozen=True, slots=True)
class MessageKeys:
    """One or more keys: the first signs, any of them is accepted."""

    keys: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def of(cls, text: str) -> MessageKeys:
        """Return the keys of a text, separated by commas or blanks. Raises ValueError, which never has a key in it."""
        keys = text.replace(",", " ").split()
        for place, key in enumerate(keys, 1):
            which = f"key {place}" if len(keys) > 1 else "the key"
            if not (key.isascii() and key.isprintable()):
                message = f"{which} has a character that no key has; make one with: openssl rand -hex 32"
                raise ValueError(message)
            if len(key) < LEAST_CHARACTERS:
                message = f"{which} has fewer than {LEAST_CHARACTERS} characters; make one with: openssl rand -hex 32"
                raise ValueError(message)
        if not keys:
            message = "there is no key in it; give one or more, separated by commas"
            raise ValueError(message)
        return cls(tuple(key.encode() for key in keys))

    def sign(self, task: str, message_id: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        """Return the signature of a message. Raises ValueError or TypeError when its arguments are no plain JSON."""
        return _signature(self.keys[0], _said(task, message_id, args, kwargs))

    def signed(
        self, signature: object, task: str, message_id: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> bool:
        """Say whether `signature` is that of a message by any key, in a time that doesn't tell how close it came."""
        if not isinstance(signature, str) or not signature.isascii():
            return False
        try:
            said = _said(task, message_id, args, kwargs)
        except (ValueError, TypeError, RecursionError):
            return False
        # Every key is tried, so that the time says nothing about which one fits.
        fitting = [hmac.compare_digest(_signature(key, said), signature) for key in self.keys]
        return any(fitting)


def _said(task: str, message_id: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bytes:
    said = [task, message_id, args, kwargs]
    return json.dumps(said, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def _signature(key: bytes, said: bytes) -> str:
    return hmac.new(key, said, hashlib.sha256).hexdigest()


def _read(value: object) -> object:
    return MessageKeys.of(value) if isinstance(value, str) else value


MessageKey = Annotated[
    MessageKeys | None,
    BeforeValidator(_read),
    PlainSerializer(lambda keys: None if keys is None else "**********"),
    Field(
        description="Key that signs the fleet's Celery messages; workers then do nothing that is not signed, records "
        "of other programs included, and take no remote control. Several, separated by commas, while one is replaced: "
        "the first signs, any is accepted. See [security](../SECURITY.md).",
    ),
]
