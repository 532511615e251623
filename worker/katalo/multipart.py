"""A multipart body that is the same, byte for byte, whenever it is built of the same image.

The API may compare a replayed payload by its bytes (contract, section 12, point 19), so nothing in it is random.
"""

from __future__ import annotations

import hashlib
import re

_MEDIA_TYPE = re.compile(r"[A-Za-z0-9.+-]+/[A-Za-z0-9.+-]+")
#: What would end the quoted file name, or the header it stands in.
_UNQUOTABLE = re.compile(r'[\x00-\x1f\x7f"\\]')


def multipart_body(content: bytes, filename: str, media_type: str) -> tuple[bytes, str]:
    """Return a body with the one part `file`, and its Content-Type; the boundary is derived from `content`.

    Characters of `filename` that can't be quoted become `_`; a `media_type` that is none is sent as bytes of any kind.
    """
    boundary = f"stagecrew-{hashlib.sha256(content).hexdigest()[:32]}"
    quoted = _UNQUOTABLE.sub("_", filename).encode("utf-8", "replace")
    kind = media_type if _MEDIA_TYPE.fullmatch(media_type) else "application/octet-stream"
    body = b"".join(
        (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="'.encode(),
            quoted,
            f'"\r\nContent-Type: {kind}\r\n\r\n'.encode(),
            content,
            f"\r\n--{boundary}--\r\n".encode(),
        )
    )
    return body, f"multipart/form-data; boundary={boundary}"
