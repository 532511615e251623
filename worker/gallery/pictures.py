"""Pictures made small enough to stand in a page: upright, sRGB-like, without metadata such as places."""

from __future__ import annotations

import base64
import io
import warnings
from dataclasses import dataclass, field
from typing import Final

from PIL import Image, ImageOps

#: Sharp on a phone and good on a desktop; a panorama is looked at a part at a time.
LONGEST_PX: Final = 1_280
LONGEST_WIDE_PX: Final = 2_560
#: Where there are many.
SMALL_PX: Final = 960
QUALITY: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A picture as the page shows it, and how large the whole one is."""

    data_url: str = field(repr=False)
    width_px: int
    height_px: int
    full_width_px: int
    full_height_px: int
    full_bytes: int


def scaled_down(content: bytes, *, wide: bool = False, longest_px: int = LONGEST_PX) -> Shown | None:
    """Return `content` as a JPEG of at most `longest_px` a side (2,560 if `wide`); None when it can't be read."""
    longest = LONGEST_WIDE_PX if wide else longest_px
    try:
        with warnings.catch_warnings():
            # A picture so large that Pillow warns of it is not worth the memory here.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content)) as opened:
                turned = opened.getexif().get(0x0112, 1) in {5, 6, 7, 8}
                full = opened.size[::-1] if turned else opened.size
                # A JPEG is decoded at a half, a quarter or an eighth where that is enough.
                opened.draft("RGB", (longest, longest))
                image = _on_white(ImageOps.exif_transpose(opened))
    # Damaged files make Pillow's many plugins raise nearly anything.
    except Exception:  # noqa: BLE001
        return None
    image.thumbnail((longest, longest))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=QUALITY, optimize=True, progressive=True)
    return Shown(
        data_url=f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}",
        width_px=image.width,
        height_px=image.height,
        full_width_px=full[0],
        full_height_px=full[1],
        full_bytes=len(content),
    )


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    paper = Image.new("RGBA", image.size, "white")
    paper.alpha_composite(image.convert("RGBA"))
    return paper.convert("RGB")
