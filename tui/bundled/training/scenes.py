"""The scenes behind subjects, each drawn anew for every seed."""

import math
from collections.abc import Callable
from random import Random
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from tui.bundled.training.parallel import map_in_order
from tui.bundled.training.scene_parts import (
    SIDE,
    WHITE,
    cloud,
    disc,
    gradient,
    hill,
    stars,
    triangle,
    varied,
)
from tui.bundled.training.vocabulary import vocabulary

SIZE: Final = 256
"""Pixels along a side of a finished scene."""

Bytes = npt.NDArray[np.uint8]


def draw_scene(name: str, seed: int) -> Bytes:
    """The scene `name` as `seed` draws it, (SIZE, SIZE, 3), 0 to 255."""
    canvas = SCENES[name](Random(f"{name}{seed}"))
    return np.asarray(canvas.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BOX))


def draw_bank(scenes_each: int, processes: int) -> Bytes:
    """`scenes_each` pictures of every scene, in the vocabulary's order, (n, SIZE, SIZE, 3), 0 to 255."""
    wanted = [(name, seed) for name in vocabulary().scenes for seed in range(scenes_each)]
    return np.stack(list(map_in_order(_draw, wanted, processes, chunk=32)))


def _draw(wanted: tuple[str, int]) -> Bytes:
    return draw_scene(*wanted)


def _space(random: Random) -> Image.Image:
    sky = gradient(
        varied(random, (12, 8, 32), 8), varied(random, random.choice([(40, 12, 70), (10, 20, 60), (20, 8, 40)]), 10)
    )
    nebula = Image.new("RGB", (SIDE, SIDE))
    pen = ImageDraw.Draw(nebula)
    for _ in range(random.randint(1, 3)):
        x, y, size = random.uniform(0, SIDE), random.uniform(0, SIDE), random.uniform(60, 150)
        colour = random.choice([(70, 20, 90), (20, 40, 100), (90, 30, 60)])
        pen.ellipse((x - size, y - size * 0.6, x + size, y + size * 0.6), fill=colour)
    canvas = ImageChops.add(sky, nebula.filter(ImageFilter.GaussianBlur(50)))
    pen = ImageDraw.Draw(canvas)
    stars(pen, random, 90)
    if random.random() < 0.5:
        x, y, size = random.choice([60, 450]), random.choice([70, 440]), random.uniform(25, 50)
        disc(pen, x, y, size, varied(random, random.choice([(220, 120, 80), (120, 160, 230), (200, 180, 120)])))
    return canvas


def _night(random: Random) -> Image.Image:
    canvas = gradient(varied(random, (10, 16, 50), 8), varied(random, (40, 60, 120), 10))
    pen = ImageDraw.Draw(canvas)
    stars(pen, random, 60, 340)
    x, y = random.choice([80, 430]), random.uniform(50, 90)
    disc(pen, x, y, 32, (250, 240, 190))
    pen.ellipse((x - 16, y - 40, x + 48, y + 24), fill=(14, 22, 60))
    hill(pen, random, 390, 20, varied(random, (20, 40, 50), 8))
    hill(pen, random, 440, 14, varied(random, (12, 26, 34), 6))
    return canvas


def _sunset(random: Random) -> Image.Image:
    canvas = gradient(varied(random, (110, 60, 140)), varied(random, (255, 160, 70)))
    pen = ImageDraw.Draw(canvas)
    x, size = random.uniform(120, 390), random.uniform(55, 80)
    disc(pen, x, 350, size, (255, 225, 120))
    pen.rectangle((0, 360, SIDE, SIDE), fill=varied(random, (120, 50, 90)))
    for row in range(5):
        half, y = size * (1 - row * 0.15), 372 + row * 22
        pen.rectangle((x - half, y, x + half, y + 7), fill=(240, 150, 90))
    return canvas


def _bright_sky(random: Random) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    canvas = gradient(varied(random, (120, 195, 250)), varied(random, (215, 240, 255)))
    return canvas, ImageDraw.Draw(canvas)


def _few_clouds(pen: ImageDraw.ImageDraw, random: Random) -> None:
    for _ in range(random.randint(1, 3)):
        cloud(pen, random.uniform(40, 470), random.uniform(40, 140), random.uniform(22, 36))


def _grass(pen: ImageDraw.ImageDraw, random: Random) -> None:
    hill(pen, random, 350, 22, varied(random, (130, 205, 100)))
    hill(pen, random, 405, 14, varied(random, (95, 180, 75)))


def _flowers(pen: ImageDraw.ImageDraw, random: Random, count: int, sizes: tuple[float, float] | None) -> None:
    colours = [(250, 90, 120), (255, 210, 60), WHITE, (190, 110, 230), (255, 140, 60)]
    for _ in range(count):
        x, y = random.uniform(0, SIDE), random.uniform(400, 500)
        colour = random.choice(colours)
        size = random.uniform(*sizes) if sizes else 5
        disc(pen, x, y, size, colour)
        disc(pen, x, y, size * 0.4, (255, 235, 120))


def _meadow(random: Random) -> Image.Image:
    canvas, pen = _bright_sky(random)
    _few_clouds(pen, random)
    _grass(pen, random)
    _flowers(pen, random, 10, None)
    return canvas


def _garden(random: Random) -> Image.Image:
    canvas, pen = _bright_sky(random)
    _few_clouds(pen, random)
    _grass(pen, random)
    _flowers(pen, random, 70, (6, 9))
    return canvas


def _rainbow(random: Random) -> Image.Image:
    canvas, pen = _bright_sky(random)
    x, y, radius = random.uniform(200, 310), 420, random.uniform(250, 290)
    bands = [(235, 70, 70), (250, 150, 50), (250, 220, 70), (90, 200, 90), (70, 140, 240), (150, 90, 210)]
    for band, colour in enumerate([*bands, (190, 228, 253)]):
        disc(pen, x, y, radius - band * 18, colour)
    _grass(pen, random)
    _flowers(pen, random, 10, None)
    return canvas


def _beach(random: Random) -> Image.Image:
    canvas = gradient(varied(random, (110, 200, 250)), varied(random, (210, 242, 255)))
    pen = ImageDraw.Draw(canvas)
    disc(pen, random.choice([80, 430]), 70, 34, (255, 225, 90))
    pen.rectangle((0, 250, SIDE, 370), fill=varied(random, (40, 150, 210)))
    hill(pen, random, 350, 8, (235, 250, 255))
    hill(pen, random, 362, 8, varied(random, (245, 215, 150)))
    return canvas


def _underwater(random: Random) -> Image.Image:
    canvas = gradient(varied(random, (60, 180, 230)), varied(random, (10, 60, 130)))
    pen = ImageDraw.Draw(canvas, "RGBA")
    for _ in range(4):
        x = random.uniform(0, SIDE)
        ray = [(x, 0), (x + 50, 0), (x + random.uniform(-80, 120), SIDE), (x - 60, SIDE)]
        pen.polygon(ray, fill=(255, 255, 255, 22))
    for _ in range(18):
        x, y, size = random.uniform(0, SIDE), random.uniform(0, SIDE), random.uniform(4, 11)
        pen.ellipse((x - size, y - size, x + size, y + size), outline=(220, 245, 255, 200), width=3)
    hill(pen, random, 470, 10, varied(random, (225, 200, 140)))
    for _ in range(6):
        x, height = random.choice([random.uniform(0, 120), random.uniform(390, SIDE)]), random.uniform(60, 130)
        weed = [(x + 9 * math.sin(knot * 0.9), 480 - knot * height / 8) for knot in range(9)]
        pen.line(weed, fill=varied(random, (30, 140, 80)), width=11)
    return canvas


def _sea(random: Random) -> Image.Image:
    canvas = gradient(varied(random, (140, 205, 250)), varied(random, (225, 243, 255)))
    pen = ImageDraw.Draw(canvas)
    cloud(pen, random.uniform(60, 450), random.uniform(50, 110), 30)
    for row, colour in enumerate([(60, 150, 215), (45, 130, 200), (30, 110, 185)]):
        y, phase, water = 330 + row * 55, random.uniform(0, 50), varied(random, colour, 8)
        pen.rectangle((0, y, SIDE, SIDE), fill=water)
        for wave in range(-1, 12):
            pen.ellipse((wave * 50 - phase, y - 14, wave * 50 + 52 - phase, y + 14), fill=water)
    return canvas


def _snow(random: Random) -> Image.Image:
    canvas = gradient(varied(random, (150, 190, 230)), varied(random, (220, 235, 250)))
    pen = ImageDraw.Draw(canvas)
    for _ in range(4):
        x, height = random.uniform(0, SIDE), random.uniform(90, 150)
        triangle(pen, x, 380, 70, height, varied(random, (90, 140, 130)))
    hill(pen, random, 370, 16, varied(random, (245, 250, 255), 5))
    hill(pen, random, 425, 12, WHITE)
    for _ in range(60):
        disc(pen, random.uniform(0, SIDE), random.uniform(0, SIDE), random.uniform(3, 6), WHITE)
    return canvas


def _desert(random: Random) -> Image.Image:
    canvas = gradient(varied(random, (130, 200, 240)), varied(random, (255, 235, 190)))
    pen = ImageDraw.Draw(canvas)
    disc(pen, random.choice([90, 420]), 80, 38, (255, 220, 80))
    hill(pen, random, 340, 30, varied(random, (240, 195, 110)))
    hill(pen, random, 390, 26, varied(random, (228, 175, 90)))
    hill(pen, random, 440, 18, varied(random, (215, 160, 75)))
    return canvas


def _forest(random: Random) -> Image.Image:
    canvas = gradient(varied(random, (150, 210, 190)), varied(random, (210, 240, 205)))
    pen = ImageDraw.Draw(canvas)
    for y, colour, height, count in ((360, (110, 170, 120), 210, 8), (400, (60, 130, 80), 240, 6)):
        for tree in range(count):
            x, tall = (tree + random.uniform(0.2, 0.8)) * SIDE / count, height * random.uniform(0.8, 1.1)
            leaves = varied(random, colour, 10)
            pen.rectangle((x - 7, y - 20, x + 7, y + 30), fill=(100, 70, 45))
            for up in (0, 0.28, 0.52):
                triangle(pen, x, y - up * tall, 90 * (1 - up * 0.8), tall * 0.48, leaves)
    hill(pen, random, 400, 10, varied(random, (80, 150, 70)))
    return canvas


def _mountains(random: Random) -> Image.Image:
    canvas = gradient(varied(random, (130, 190, 240)), varied(random, (225, 240, 250)))
    pen = ImageDraw.Draw(canvas)
    for peak in range(4):
        x = (peak + random.uniform(0.1, 0.9)) * SIDE / 4
        height, width = random.uniform(180, 290), random.uniform(240, 330)
        triangle(pen, x, 400, width, height, varied(random, (110, 125, 155)))
        triangle(pen, x, 400 - height * 0.68, width * 0.32, height * 0.32, (250, 252, 255))
    hill(pen, random, 390, 14, varied(random, (110, 175, 95)))
    return canvas


def _city(random: Random) -> Image.Image:
    canvas = gradient(varied(random, (150, 205, 245)), varied(random, (230, 240, 250)))
    walls = [(150, 165, 185), (175, 160, 150), (130, 150, 175)]
    _street(
        ImageDraw.Draw(canvas),
        random,
        wall=lambda: varied(random, random.choice(walls)),
        light=lambda: (225, 238, 248),
        road=(110, 112, 118),
    )
    return canvas


def _city_at_night(random: Random) -> Image.Image:
    canvas = gradient(varied(random, (20, 16, 60), 8), varied(random, (110, 50, 130)))
    pen = ImageDraw.Draw(canvas)
    stars(pen, random, 25, 200)
    lights = [(255, 220, 110), (255, 120, 200), (110, 230, 255)]
    _street(
        pen,
        random,
        wall=lambda: varied(random, (40, 36, 80), 10),
        light=lambda: random.choice(lights),
        road=(30, 28, 50),
    )
    return canvas


def _street(
    pen: ImageDraw.ImageDraw,
    random: Random,
    wall: Callable[[], tuple[int, int, int]],
    light: Callable[[], tuple[int, int, int]],
    road: tuple[int, int, int],
) -> None:
    """Houses side by side with most windows lit, and a road before them."""
    x = -10.0
    while x < SIDE:
        width, height = random.uniform(46, 84), random.uniform(130, 300)
        pen.rectangle((x, 430 - height, x + width, 430), fill=wall())
        for y in range(int(430 - height + 14), 405, 26):
            for window in range(int(x + 10), int(x + width - 14), 20):
                if random.random() < 0.7:
                    pen.rectangle((window, y, window + 10, y + 13), fill=light())
        x += width + random.uniform(0, 8)
    pen.rectangle((0, 430, SIDE, SIDE), fill=road)
    for dash in range(6):
        pen.rectangle((dash * 100 + 10, 466, dash * 100 + 60, 474), fill=(240, 220, 120))


def _rain(random: Random) -> Image.Image:
    canvas = gradient(varied(random, (90, 105, 130)), varied(random, (150, 165, 185)))
    pen = ImageDraw.Draw(canvas)
    for _ in range(4):
        x, y, size = random.uniform(0, SIDE), random.uniform(20, 70), random.uniform(40, 60)
        cloud(pen, x, y, size, varied(random, (120, 130, 150), 8))
    pen.rectangle((0, 430, SIDE, SIDE), fill=varied(random, (95, 115, 120)))
    for _ in range(80):
        x, y = random.uniform(0, SIDE), random.uniform(60, SIDE)
        pen.line((x, y, x - 9, y + 28), fill=(190, 220, 245), width=4)
    return canvas


def _sky(random: Random) -> Image.Image:
    canvas = gradient(varied(random, (80, 165, 245)), varied(random, (190, 228, 255)))
    pen = ImageDraw.Draw(canvas)
    for _ in range(5):
        x = random.uniform(0, SIDE)
        cloud(pen, x, random.choice([random.uniform(30, 130), random.uniform(380, 500)]), random.uniform(30, 55))
    return canvas


def _room(random: Random) -> Image.Image:
    wall = random.choice([(245, 225, 195), (205, 225, 235), (230, 215, 235), (215, 230, 205)])
    canvas = Image.new("RGB", (SIDE, SIDE), varied(random, wall))
    pen = ImageDraw.Draw(canvas)
    pen.rectangle((0, 380, SIDE, SIDE), fill=varied(random, (175, 125, 80)))
    pen.rectangle((0, 370, SIDE, 382), fill=(250, 248, 242))
    for board in range(1, 4):
        pen.line((0, 380 + board * 36, SIDE, 380 + board * 36), fill=(150, 104, 64), width=3)
    x, frame = random.choice([60, 340]), (250, 250, 250)
    pen.rectangle((x, 60, x + 110, 190), fill=frame)
    pen.rectangle((x + 9, 69, x + 101, 181), fill=(150, 210, 250))
    pen.rectangle((x + 51, 69, x + 59, 181), fill=frame)
    pen.rectangle((x + 9, 121, x + 101, 129), fill=frame)
    return canvas


def _moon(random: Random) -> Image.Image:
    canvas = gradient((6, 6, 18), (22, 22, 46))
    pen = ImageDraw.Draw(canvas)
    stars(pen, random, 70, 360)
    if random.random() < 0.6:
        middle = random.choice([90, 420])
        disc(pen, middle, 82, 42, (60, 120, 210))
        pen.ellipse((middle - 24, 58, middle + 12, 90), fill=(80, 170, 90))
    hill(pen, random, 370, 10, varied(random, (175, 175, 182), 8))
    for _ in range(9):
        x, y, size = random.uniform(0, SIDE), random.uniform(400, 500), random.uniform(12, 34)
        crater = (x - size, y - size * 0.4, x + size, y + size * 0.4)
        pen.ellipse(crater, fill=varied(random, (145, 145, 152), 6))
    return canvas


def _lava(random: Random) -> Image.Image:
    canvas = gradient(varied(random, (60, 10, 10), 8), varied(random, (190, 50, 20)))
    pen = ImageDraw.Draw(canvas)
    for colour, height in (((230, 90, 20), 190), ((250, 160, 40), 130), ((255, 220, 90), 70)):
        for flame in range(9):
            x, tall = (flame + random.uniform(0, 1)) * SIDE / 9, height * random.uniform(0.7, 1.15)
            right = [(x - 38, SIDE), (x + 38, SIDE), (x + 22, SIDE - tall * 0.5)]
            tip = (x + random.uniform(-14, 14), SIDE - tall)
            pen.polygon([*right, tip, (x - 24, SIDE - tall * 0.45)], fill=colour)
    return canvas


SCENES: Final[dict[str, Callable[[Random], Image.Image]]] = {
    "space": _space,
    "night": _night,
    "sunset": _sunset,
    "meadow": _meadow,
    "garden": _garden,
    "beach": _beach,
    "underwater": _underwater,
    "sea": _sea,
    "snow": _snow,
    "desert": _desert,
    "forest": _forest,
    "mountains": _mountains,
    "city": _city,
    "nightcity": _city_at_night,
    "rain": _rain,
    "sky": _sky,
    "room": _room,
    "moon": _moon,
    "rainbow": _rainbow,
    "lava": _lava,
}
"""Who draws each scene of the vocabulary."""
