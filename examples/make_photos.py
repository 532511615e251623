"""Draws the sample photos: empty rooms, seeded, in perspective. `python examples/make_photos.py` writes them anew."""

import math
import random
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFilter

HERE = Path(__file__).parent / "photos"
WIDE, HIGH = 1536, 1024
WALLS = [(226, 220, 210), (214, 221, 222), (232, 226, 214), (219, 214, 205), (222, 224, 216), (236, 230, 222)]
FLOORS = [(176, 134, 94), (150, 116, 86), (196, 160, 120), (132, 104, 82), (186, 172, 156), (164, 128, 92)]


def shade(colour, by):
    return tuple(max(0, min(255, int(part * by))) for part in colour)


def room(number, tiles=False, windows=1, door=True):
    dice = random.Random(number)
    wall, floor = WALLS[number % len(WALLS)], FLOORS[(number * 5) % len(FLOORS)]
    image = Image.new("RGB", (WIDE, HIGH), wall)
    draw = ImageDraw.Draw(image)
    x0, x1 = WIDE * dice.uniform(0.2, 0.27), WIDE * dice.uniform(0.72, 0.8)
    y0, y1 = HIGH * 0.19, HIGH * 0.66
    draw.polygon([(0, 0), (WIDE, 0), (x1, y0), (x0, y0)], fill=(246, 244, 240))
    draw.polygon([(0, 0), (x0, y0), (x0, y1), (0, HIGH)], fill=shade(wall, 0.88))
    draw.polygon([(WIDE, 0), (x1, y0), (x1, y1), (WIDE, HIGH)], fill=shade(wall, 0.94))
    draw.polygon([(0, HIGH), (x0, y1), (x1, y1), (WIDE, HIGH)], fill=floor)
    middle = (x0 + x1) / 2
    for i in range(-26, 27):
        far = middle + i * (x1 - x0) / 26
        near = middle + i * WIDE / 12
        tone = shade(floor, dice.uniform(0.9, 1.08))
        draw.polygon([(far, y1), (far + (x1 - x0) / 26, y1), (near + WIDE / 12, HIGH), (near, HIGH)], fill=tone)
        draw.line([(far, y1), (near, HIGH)], fill=shade(floor, 0.78), width=2)
    rows = 9 if tiles else 3
    for k in range(1, rows):
        y = y1 + (HIGH - y1) * (k / rows) ** 1.7
        draw.line([(0, y), (WIDE, y)], fill=shade(floor, 0.82), width=2)
    mask = Image.new("L", (WIDE, HIGH), 0)
    ImageDraw.Draw(mask).polygon([(0, 0), (x0, y0), (x0, y1), (0, HIGH)], fill=255)
    keep = Image.new("L", (WIDE, HIGH), 0)
    ImageDraw.Draw(keep).polygon([(0, HIGH), (x0, y1), (x1, y1), (WIDE, HIGH)], fill=255)
    plain = Image.new("RGB", (WIDE, HIGH), wall)
    frame = ImageDraw.Draw(plain)
    frame.polygon([(0, 0), (WIDE, 0), (x1, y0), (x0, y0)], fill=(246, 244, 240))
    frame.polygon([(0, 0), (x0, y0), (x0, y1), (0, HIGH)], fill=shade(wall, 0.88))
    frame.polygon([(WIDE, 0), (x1, y0), (x1, y1), (WIDE, HIGH)], fill=shade(wall, 0.94))
    image = Image.composite(image, plain, keep)
    draw = ImageDraw.Draw(image)
    white = (244, 242, 238)
    for a, b in (((0, HIGH), (x0, y1)), ((x0, y1), (x1, y1)), ((x1, y1), (WIDE, HIGH))):
        draw.line([a, b], fill=white, width=16)
    span = (x1 - x0) / (windows + 1)
    glow = Image.new("L", (WIDE, HIGH), 0)
    for k in range(windows):
        left = x0 + span * (k + 1) - span * 0.36
        right, top, bottom = left + span * 0.72, y0 + HIGH * 0.06, y0 + HIGH * 0.31
        for y in range(int(top), int(bottom)):
            part = (y - top) / (bottom - top)
            draw.line([(left, y), (right, y)], fill=(int(190 + 40 * part), int(214 + 22 * part), int(236 - 10 * part)))
        draw.rectangle([left, bottom - HIGH * 0.05, right, bottom], fill=(158, 178, 138))
        draw.rectangle([left, top, right, bottom], outline=white, width=10)
        draw.line([((left + right) / 2, top), ((left + right) / 2, bottom)], fill=white, width=7)
        draw.rectangle([left - 14, bottom, right + 14, bottom + 12], fill=shade(white, 0.96))
        shift = WIDE * 0.08
        ImageDraw.Draw(glow).polygon(
            [(left + shift, y1 + 30), (right + shift, y1 + 30), (right + shift * 3, HIGH * 0.93), (left + shift * 1.6, HIGH * 0.93)], fill=90
        )
    if door:
        left = WIDE * 0.86
        draw.polygon([(left, HIGH * 0.2), (left + 130, HIGH * 0.15), (left + 130, HIGH * 0.86), (left, HIGH * 0.775)], fill=(238, 236, 230))
        draw.line([(left, HIGH * 0.2), (left, HIGH * 0.775)], fill=(206, 202, 194), width=6)
        draw.ellipse([left + 14, HIGH * 0.5, left + 30, HIGH * 0.516], fill=(120, 112, 98))
    light = Image.composite(Image.new("RGB", image.size, (255, 246, 226)), image, glow.filter(ImageFilter.GaussianBlur(22)))
    image = Image.blend(image, light, 0.8)
    fall = Image.radial_gradient("L").resize((WIDE, HIGH)).point(lambda v: 255 - int(v * 0.3))
    image = ImageChops.multiply(image, Image.merge("RGB", (fall,) * 3))
    noise = Image.effect_noise((WIDE, HIGH), 9).convert("RGB")
    return Image.blend(image, ImageChops.overlay(image, noise), 0.18).filter(ImageFilter.SMOOTH)


def panorama(number):
    dice = random.Random(number)
    width, height = 2048, 1024
    wall, floor = WALLS[number % len(WALLS)], FLOORS[number % len(FLOORS)]
    image = Image.new("RGB", (width, height))
    pixels = image.load()
    half_x, half_y, up, down = 2.6, 2.1, 1.2, 1.5
    windows = [dice.uniform(0.2, 1.2), dice.uniform(2.6, 3.6), dice.uniform(4.6, 5.4)]
    for y in range(height):
        pitch = math.pi / 2 - math.pi * y / height
        for x in range(width):
            yaw = 2 * math.pi * x / width
            dx, dy, dz = math.cos(pitch) * math.cos(yaw), math.cos(pitch) * math.sin(yaw), math.sin(pitch)
            reach = min(half_x / max(1e-6, abs(dx)), half_y / max(1e-6, abs(dy)))
            z = dz * reach
            if z > up:
                colour = shade((244, 242, 238), 0.9 + 0.1 * dz)
            elif z < -down:
                at = down / -dz
                px, py = dx * at, dy * at
                plank = int((px + 50) / 0.16)
                tone = 0.92 + ((plank * 7919) % 17) / 120 + (0.0 if (px + 50) % 0.16 > 0.008 else -0.14)
                colour = shade(floor, tone * (1.05 - 0.05 * math.hypot(px, py)))
            else:
                side = 0.96 if half_x / max(1e-6, abs(dx)) < half_y / max(1e-6, abs(dy)) else 0.88
                colour = shade(wall, side * (0.94 + 0.06 * z))
                if -0.35 < z < 0.8 and any(abs(yaw - at) < 0.22 for at in windows):
                    colour = (206, 226, 240) if z > -0.1 else (168, 186, 150)
                if z < -down + 0.1:
                    colour = (242, 240, 236)
            pixels[x, y] = colour
    noise = Image.effect_noise((width, height), 8).convert("RGB")
    return Image.blend(image, ImageChops.overlay(image, noise), 0.15).filter(ImageFilter.SMOOTH)


def main():
    HERE.mkdir(parents=True, exist_ok=True)
    rooms = {
        "living-room": room(1, windows=2), "kitchen": room(2, tiles=True), "bedroom": room(3), "bathroom": room(4, tiles=True, door=False),
        "office": room(5), "dining-room": room(6, windows=2), "loft": room(7, windows=3), "hallway": room(8, windows=1),
        "kids-room": room(9), "studio": room(10, windows=2),
    }
    for name, image in rooms.items():
        image.save(HERE / f"{name}.jpg", quality=80)
    for name, number in (("loft-360", 11), ("villa-360", 13)):
        panorama(number).save(HERE / f"{name}.jpg", quality=78)


if __name__ == "__main__":
    main()
