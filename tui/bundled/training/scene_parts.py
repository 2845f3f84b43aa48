"""What scenes are drawn of: skies, hills, clouds, stars. Everything is in pixels of a canvas of `SIDE` × `SIDE`."""

import math
from random import Random
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

SIDE: Final = 512
"""Twice the side of a picture, so that edges come out smooth."""

Rgb = tuple[int, int, int]
Pen = ImageDraw.ImageDraw

WHITE: Final = (255, 255, 255)
STAR_COLOURS: Final = (WHITE, (255, 245, 200), (200, 220, 255))


def gradient(top: Rgb, bottom: Rgb) -> Image.Image:
    """A canvas that goes from `top` to `bottom`."""
    share = np.linspace(0, 1, SIDE)[:, None, None]
    rows = np.array(top, np.float32) * (1 - share) + np.array(bottom, np.float32) * share
    return Image.fromarray(np.broadcast_to(rows, (SIDE, SIDE, 3)).clip(0, 255).astype(np.uint8).copy())


def varied(random: Random, colour: Rgb, spread: float = 14) -> Rgb:
    """A colour near `colour`, each channel at most `spread` away."""
    red, green, blue = (int(min(255, max(0, value + random.uniform(-spread, spread)))) for value in colour)
    return red, green, blue


def disc(pen: Pen, x: float, y: float, radius: float, colour: Rgb) -> None:
    """A filled circle."""
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def triangle(pen: Pen, x: float, base: float, width: float, height: float, colour: Rgb) -> None:
    """One that stands on `base`, its tip above `x`."""
    pen.polygon([(x - width / 2, base), (x + width / 2, base), (x, base - height)], fill=colour)


def hill(pen: Pen, random: Random, y: float, height: float, colour: Rgb) -> None:
    """Ground whose edge swings around `y` by `height`."""
    phase, waves = random.uniform(0, 6.3), random.uniform(0.6, 1.4)
    edge = [(x, y + height * math.sin(phase + waves * x / SIDE * 6.28)) for x in range(0, SIDE + 8, 8)]
    pen.polygon([(0, SIDE), *edge, (SIDE + 8, SIDE)], fill=colour)


def stars(pen: Pen, random: Random, count: int, lowest: float = SIDE) -> None:
    """Stars, none below `lowest`."""
    for _ in range(count):
        x, y, radius = random.uniform(0, SIDE), random.uniform(0, lowest), random.choice([1.5, 2, 2, 2.5, 3.5])
        disc(pen, x, y, radius, random.choice(STAR_COLOURS))


def cloud(pen: Pen, x: float, y: float, size: float, colour: Rgb = WHITE) -> None:
    """A cloud of four puffs around (x, y)."""
    for across, down, share in ((-1, 0.15, 0.55), (-0.4, -0.15, 0.75), (0.3, -0.25, 0.8), (0.95, 0.1, 0.6)):
        middle, middle_y, width, height = x + across * size, y + down * size, share * size, share * size * 0.8
        pen.ellipse((middle - width, middle_y - height, middle + width, middle_y + height), fill=colour)
    pen.rectangle((x - 1.2 * size, y + 0.05 * size, x + 1.2 * size, y + 0.55 * size), fill=colour)
