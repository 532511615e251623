"""The sandbox's "staged" pictures: drawn with Pillow on the source photo, so that one can see what came of which."""

from __future__ import annotations

import io
import random
from collections.abc import Mapping
from typing import Any, Final

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

LONGEST: Final = 1536
CAPTION: Final = "virtually staged · sandbox"
Colour = tuple[int, int, int]
#: Style -> sofa, cushion, rug, wood.
PALETTES: Final[Mapping[str, tuple[Colour, Colour, Colour, Colour]]] = {
    "modern": ((74, 84, 96), (222, 166, 82), (226, 222, 214), (120, 88, 62)),
    "scandinavian": ((214, 208, 196), (132, 156, 148), (240, 236, 228), (198, 164, 122)),
    "contemporary": ((92, 98, 88), (196, 120, 92), (214, 206, 192), (104, 76, 56)),
    "traditional": ((122, 74, 62), (206, 176, 112), (162, 84, 70), (94, 60, 40)),
    "industrial": ((110, 74, 52), (70, 74, 78), (150, 146, 140), (66, 56, 50)),
    "coastal": ((236, 234, 226), (96, 148, 178), (206, 222, 226), (206, 182, 146)),
}


def staged(source: bytes, settings: Mapping[str, Any], role: str, *, seed: str) -> bytes:
    """Return the picture that a job makes of `source`, as JPEG."""
    with Image.open(io.BytesIO(source)) as opened:
        image = ImageOps.exif_transpose(opened).convert("RGB")
    image.thumbnail((LONGEST, LONGEST))
    dice = random.Random(seed)  # noqa: S311 - a drawing
    if settings.get("workflow") == "pro_capture":
        image = _bright(image, 1.12, 1.18)
    elif settings.get("mode") == "clean":
        image = _bright(image.filter(ImageFilter.SMOOTH), 1.1, 1.06)
    elif settings.get("capture_type") == "floorplan":
        image = ImageOps.colorize(ImageOps.grayscale(image), (42, 60, 84), (250, 246, 238))
    else:
        image = _furnish(_bright(image, 1.05, 1.08), str(settings.get("style_preset")), role, dice)
    return _jpeg(_caption(image))


def tiny(source: bytes) -> bytes:
    """Return a thumbnail of `source`, as JPEG."""
    with Image.open(io.BytesIO(source)) as opened:
        image = opened.convert("RGB")
    image.thumbnail((160, 160))
    return _jpeg(image)


def _jpeg(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=86)
    return out.getvalue()


def _bright(image: Image.Image, light: float, colour: float) -> Image.Image:
    return ImageEnhance.Color(ImageEnhance.Brightness(image).enhance(light)).enhance(colour)


def _furnish(image: Image.Image, style: str, role: str, dice: random.Random) -> Image.Image:
    width, height = image.size
    sofa, cushion, rug, wood = PALETTES.get(style, PALETTES["modern"])
    unit = min(width / 3, height / 2)
    middle = width * (0.5 + dice.uniform(-0.06, 0.06) + (0.1 if role == "alternate" else 0))
    floor = height * 0.86
    layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    shadow = Image.new("RGBA", image.size, (0, 0, 0, 0))
    dark = ImageDraw.Draw(shadow)
    left, right = middle - unit * 0.72, middle + unit * 0.72
    # The rug lies first, a shadow under everything that stands on it, then the furniture from back to front.
    draw.ellipse((left - unit * 0.3, floor - unit * 0.16, right + unit * 0.3, floor + unit * 0.2), fill=(*rug, 255))
    draw.ellipse(
        (left - unit * 0.2, floor - unit * 0.12, right + unit * 0.2, floor + unit * 0.15), outline=(*cushion, 150),
        width=max(2, int(unit / 60)),
    )  # fmt: skip
    dark.ellipse(
        (left - unit * 0.08, floor - unit * 0.06, right + unit * 0.08, floor + unit * 0.1), fill=(0, 0, 0, 110)
    )
    image = _over(image, layer, shadow.filter(ImageFilter.GaussianBlur(unit / 22)))
    layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    _picture_frame(draw, middle, height * 0.26, unit, cushion, sofa)
    _lamp(draw, right + unit * 0.22, floor - unit * 0.02, unit, wood)
    _plant(draw, left - unit * 0.3, floor, unit, dice)
    _sofa(draw, (left, floor, right), unit, sofa, cushion, wood)
    _table(draw, middle, floor + unit * 0.12, unit, wood)
    return _over(image, layer, None)


def _over(image: Image.Image, layer: Image.Image, shadow: Image.Image | None) -> Image.Image:
    base = Image.alpha_composite(image.convert("RGBA"), layer)
    return (base if shadow is None else Image.alpha_composite(base, shadow)).convert("RGB")


def _shade(colour: Colour, by: float) -> Colour:
    return (_part(colour[0] * by), _part(colour[1] * by), _part(colour[2] * by))


def _part(value: float) -> int:
    return max(0, min(255, int(value)))


def _sofa(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float, float],
    unit: float,
    sofa: Colour,
    cushion: Colour,
    wood: Colour,
) -> None:
    left, floor, right = place
    seat, back, r = floor - unit * 0.2, floor - unit * 0.52, unit * 0.06
    for x in (left + unit * 0.08, right - unit * 0.14):
        draw.rectangle((x, floor - unit * 0.08, x + unit * 0.05, floor + unit * 0.02), fill=wood)
    draw.rounded_rectangle(
        (left + unit * 0.08, back, right - unit * 0.08, floor - unit * 0.1), r, fill=_shade(sofa, 0.86)
    )
    middle = (left + right) / 2
    for a, b in ((left + unit * 0.14, middle - 2), (middle + 2, right - unit * 0.14)):
        draw.rounded_rectangle((a, back + unit * 0.04, b, seat + unit * 0.02), r, fill=_shade(sofa, 0.96))
        draw.rounded_rectangle((a, seat, b, floor - unit * 0.06), r, fill=_shade(sofa, 1.1))
    for a in (left, right - unit * 0.16):
        draw.rounded_rectangle((a, back + unit * 0.14, a + unit * 0.16, floor - unit * 0.04), r, fill=_shade(sofa, 1.0))
    for at in (left + unit * 0.22, right - unit * 0.46):
        draw.rounded_rectangle((at, seat - unit * 0.2, at + unit * 0.24, seat + unit * 0.02), r / 2, fill=cushion)


def _table(draw: ImageDraw.ImageDraw, middle: float, floor: float, unit: float, wood: Colour) -> None:
    for x in (middle - unit * 0.26, middle + unit * 0.22):
        draw.line(
            (x, floor - unit * 0.12, x, floor + unit * 0.04), fill=_shade(wood, 0.7), width=max(3, int(unit / 40))
        )
    draw.ellipse((middle - unit * 0.36, floor - unit * 0.2, middle + unit * 0.34, floor - unit * 0.06), fill=wood)
    draw.ellipse(
        (middle - unit * 0.36, floor - unit * 0.215, middle + unit * 0.34, floor - unit * 0.085), fill=_shade(wood, 1.2)
    )
    draw.rectangle(
        (middle - unit * 0.1, floor - unit * 0.19, middle + unit * 0.1, floor - unit * 0.16), fill=(232, 226, 216)
    )


def _lamp(draw: ImageDraw.ImageDraw, x: float, floor: float, unit: float, wood: Colour) -> None:
    draw.ellipse((x - unit * 0.1, floor - unit * 0.04, x + unit * 0.1, floor + unit * 0.01), fill=_shade(wood, 0.6))
    draw.line((x, floor, x, floor - unit * 0.85), fill=_shade(wood, 0.6), width=max(3, int(unit / 45)))
    top = floor - unit * 1.08
    draw.polygon(
        [
            (x - unit * 0.11, top),
            (x + unit * 0.11, top),
            (x + unit * 0.19, top + unit * 0.26),
            (x - unit * 0.19, top + unit * 0.26),
        ],
        fill=(250, 232, 190),
    )


def _plant(draw: ImageDraw.ImageDraw, x: float, floor: float, unit: float, dice: random.Random) -> None:
    for _ in range(16):
        dx, dy = dice.uniform(-0.26, 0.26) * unit, dice.uniform(0.34, 0.82) * unit
        green = (dice.randint(52, 92), dice.randint(104, 142), dice.randint(64, 92))
        draw.line((x, floor - unit * 0.2, x + dx, floor - dy), fill=_shade(green, 0.8), width=max(2, int(unit / 90)))
        w = unit * 0.09
        draw.ellipse((x + dx - w, floor - dy - w * 0.6, x + dx + w, floor - dy + w * 0.6), fill=green)
    pot = unit * 0.13
    draw.polygon(
        [
            (x - pot, floor - unit * 0.24),
            (x + pot, floor - unit * 0.24),
            (x + pot * 0.75, floor),
            (x - pot * 0.75, floor),
        ],
        fill=(222, 214, 202),
    )


def _picture_frame(draw: ImageDraw.ImageDraw, middle: float, top: float, unit: float, one: Colour, two: Colour) -> None:
    box = (middle - unit * 0.3, top - unit * 0.2, middle + unit * 0.3, top + unit * 0.2)
    draw.rectangle(box, fill=(248, 246, 240), outline=(56, 50, 46), width=max(3, int(unit / 50)))
    draw.ellipse((middle - unit * 0.18, top - unit * 0.1, middle + unit * 0.04, top + unit * 0.12), fill=one)
    draw.rectangle((middle - unit * 0.02, top - unit * 0.04, middle + unit * 0.2, top + unit * 0.1), fill=two)


def _caption(image: Image.Image) -> Image.Image:
    size = max(12, image.height // 42)
    font = ImageFont.load_default(size)
    draw = ImageDraw.Draw(image, "RGBA")
    width = draw.textlength(CAPTION, font=font)
    x, y = image.width - width - size, image.height - size * 2
    draw.rounded_rectangle(
        (x - size / 2, y - size / 3, x + width + size / 2, y + size * 1.4), size / 2, fill=(0, 0, 0, 96)
    )
    draw.text((x, y), CAPTION, fill=(255, 255, 255, 230), font=font)
    return image
