"""Text of the API's made fit for messages and logs: one short line, no keys, signed queries or control characters."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

#: What of an answer's text goes into a message.
MAX_MESSAGE_CHARACTERS: Final = 300
#: More of a text is not looked at, so that the patterns below stay cheap whatever is sent.
MAX_LOOKED_AT: Final = 20 * MAX_MESSAGE_CHARACTERS

#: Any query, whatever stands before it: a signature may come in a bare path or an escaped URL too.
_QUERY = re.compile(r"\?[^\s\"'<>?=]*=[^\s\"'<>]*")
_USER = re.compile(r"//[^\s/@\"'<>]*@")
_KEY = re.compile(r"kat_[a-z]+_[A-Za-z0-9._-]+")
#: Control, format (invisible, bidirectional) and private characters, and halves of surrogate pairs.
_UNSHOWN: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Cn"})


def clean(text: str) -> str:
    """Return `text` as one line of at most 300 characters that can be shown, logged and stored (source: untrusted)."""
    spaced = " ".join(text[:MAX_LOOKED_AT].split())
    shown = "".join(character for character in spaced if unicodedata.category(character) not in _UNSHOWN)
    masked = _KEY.sub("kat_***", _QUERY.sub("?***", _USER.sub("//***@", shown)))
    return masked[:MAX_MESSAGE_CHARACTERS].strip()
