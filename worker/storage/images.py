"""What bytes are, told by the bytes alone: kind, completeness, size in pixels. Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageType:
    """One kind of picture: its media type and the extension of its objects."""

    media_type: str
    extension: str


JPEG: Final = ImageType(media_type="image/jpeg", extension="jpg")
PNG: Final = ImageType(media_type="image/png", extension="png")
WEBP: Final = ImageType(media_type="image/webp", extension="webp")
GIF: Final = ImageType(media_type="image/gif", extension="gif")
TIFF: Final = ImageType(media_type="image/tiff", extension="tif")
AVIF: Final = ImageType(media_type="image/avif", extension="avif")
HEIC: Final = ImageType(media_type="image/heic", extension="heic")

_HEADS: Final = (
    (b"\xff\xd8\xff", JPEG),
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"II*\x00", TIFF),
    (b"MM\x00*", TIFF),
)
#: The byte that begins a JPEG's segments, and pads them.
_MARK: Final = 0xFF
_JPEG_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: A JPEG's end mark may be followed by padding or a trailer of the camera's; it is looked for in so much of the end.
_TRAILER_BYTES: Final = 65_536


def sniff(data: bytes) -> ImageType | None:
    """Return what kind of picture `data` begins as; None when it is none that is known."""
    for head, kind in _HEADS:
        if data.startswith(head):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return WEBP
    if data[4:8] == b"ftyp":
        return AVIF if data[8:12] in {b"avif", b"avis"} else HEIC if data[8:11] in {b"hei", b"mif"} else None
    return None


def looks_like(data: bytes) -> str:
    """Return in a few words what bytes that are no picture look like, for a message."""
    start = data[:512].lstrip().lower()
    if not data:
        return "it is empty"
    if start.startswith((b"<!doctype html", b"<html")):
        return "it looks like an HTML page"
    if start.startswith((b"{", b"[")):
        return "it looks like JSON"
    if start.startswith(b"<"):
        return "it looks like XML"
    if start.startswith(b"%pdf"):
        return "it is a PDF"
    return "its first bytes are of no known picture format"


def is_complete(data: bytes, kind: ImageType) -> bool:
    """Say whether a picture has its end; kinds without a cheap mark count as complete."""
    if kind is JPEG:
        return b"\xff\xd9" in data[-_TRAILER_BYTES:]
    if kind is PNG:
        return b"IEND" in data[-64:]
    if kind is WEBP and len(data) >= 12:  # noqa: PLR2004
        return len(data) >= int(struct.unpack("<I", data[4:8])[0]) + 8
    return True


def dimensions(data: bytes) -> tuple[int, int] | None:
    """Return width and height in pixels of a JPEG, PNG or WebP; None where the header does not say."""
    kind = sniff(data)
    try:
        if kind is PNG:
            width, height = struct.unpack(">II", data[16:24])
            return int(width), int(height)
        if kind is WEBP:
            return _webp(data)
        if kind is JPEG:
            return _jpeg(data)
    except struct.error:
        return None
    return None


def _jpeg(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 < len(data):
        if data[at] != _MARK:
            return None
        marker = data[at + 1]
        if marker == _MARK:
            at += 1
        elif marker in _JPEG_FRAMES:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return int(width), int(height)
        elif marker in {0x01, *range(0xD0, 0xD9)}:
            at += 2
        else:
            at += 2 + int(struct.unpack(">H", data[at + 2 : at + 4])[0])
    return None


def _webp(data: bytes) -> tuple[int, int] | None:
    chunk = data[12:16]
    if chunk == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if chunk == b"VP8L":
        bits = int(struct.unpack("<I", data[21:25])[0])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return int(width) & 0x3FFF, int(height) & 0x3FFF
    return None
