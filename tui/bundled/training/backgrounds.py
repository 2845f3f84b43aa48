"""Chooses what is behind the subjects, and the clauses by which a caption may tell it."""

import math
from random import Random
from typing import Final

from msgspec import Struct

from tui.bundled.training.spec import Background, Rgb
from tui.bundled.training.vocabulary import colour_word, vocabulary

PALE: Final = ("beige", "light blue", "lavender", "light pink", "light green", "light gray")
"""Colours of backgrounds that no caption tells."""

COLOUR_SPREAD: Final = 9.0
"""How far, of 255, each channel strays from its named colour."""

GREY: Final = 8
"""How far apart, of 255, the channels of a colour without a hue are at most."""


class Choice(Struct, frozen=True):
    """A background, and what to say of it."""

    background: Background
    clauses: list[str]
    """Each tells all of it; none when captions are to be silent about it."""
    scene: str | None = None
    """The scene's name."""


def choose_background(random: Random, scenes_each: int) -> Choice:
    """A third scenes, a third one colour, a tenth patterns, and else something pale that no caption tells."""
    chance = random.random()
    if chance < 0.34:
        name = random.choice(list(vocabulary().scenes))
        return Choice(scene_background(random, name, scenes_each), vocabulary().scenes[name].phrases, name)
    if chance < 0.70:
        return _one_colour(random)
    if chance < 0.80:
        return _two_colours(random)
    return Choice(_untold(random), [])


def scene_background(random: Random, name: str, scenes_each: int) -> Background:
    """One of the `scenes_each` pictures that the bank holds of the scene `name`."""
    first = list(vocabulary().scenes).index(name) * scenes_each
    return Background(pattern="scene", scene=first + random.randrange(scenes_each))


def near_colour(random: Random, name: str) -> Rgb:
    """A colour that everybody would call `name`; greys, black and white are lighter or darker, but not tinted."""
    own = vocabulary().colours[name].rgb
    strays = [random.uniform(-COLOUR_SPREAD, COLOUR_SPREAD) for _ in own]
    if max(own) - min(own) < GREY:
        strays = strays[:1] * len(own)
    red, green, blue = (min(255, max(0, value + stray)) / 255 for value, stray in zip(own, strays, strict=True))
    return red, green, blue


def _one_colour(random: Random) -> Choice:
    colours = vocabulary().colours
    name = random.choices(list(colours), [colour.weight for colour in colours.values()])[0]
    colour = near_colour(random, name)
    patterns = (
        "on a {} background",
        "{} background",
        "with a {} background",
        "against a {} background",
        "on {}",
        "on a plain {} background",
    )
    clauses = [pattern.format(colour_word(random, name)) for pattern in patterns]
    return Choice(Background(first=colour, second=colour), clauses)


def _two_colours(random: Random) -> Choice:
    names = random.sample(list(vocabulary().colours), 2)
    first, second = [near_colour(random, name) for name in names]
    one, other = [colour_word(random, name) for name in names]
    chance = random.random()
    if chance < 0.45:
        angle = random.choice([0, math.pi / 2, math.pi / 4, -math.pi / 4])
        clauses = [
            f"on a {one} and {other} gradient background",
            f"{one} to {other} gradient background",
            f"with a gradient background from {one} to {other}",
            f"{other} and {one} gradient background",
        ]
        return Choice(Background("gradient", 0, first, second, angle), clauses)
    if chance < 0.65:
        angle, frequency = random.choice([0, math.pi / 2, math.pi / 4]), random.uniform(3, 7)
        clauses = [
            f"on a {one} and {other} striped background",
            f"on {one} and {other} stripes",
            f"{other} and {one} striped background",
        ]
        return Choice(Background("stripes", 0, first, second, angle, frequency), clauses)
    if chance < 0.85:
        clauses = [
            f"on a {one} background with {other} dots",
            f"on a {one} background with {other} polka dots",
            f"{other} dots on a {one} background",
        ]
        return Choice(Background("dots", 0, first, second, 0, random.uniform(4, 8)), clauses)
    clauses = [f"on a {one} and {other} checkered background", f"on a {other} and {one} checkerboard"]
    return Choice(Background("checkers", 0, first, second, 0, random.choice([4, 6, 8])), clauses)


def _untold(random: Random) -> Background:
    chance = random.random()
    if chance < 0.55:
        value = random.uniform(0.97, 1)
        return Background(first=(value, value, value), second=(value, value, value))
    if chance < 0.8:
        colour = near_colour(random, random.choice([*PALE, "white"]))
        return Background(first=colour, second=colour)
    first, second = near_colour(random, random.choice(PALE)), near_colour(random, "white")
    return Background("gradient", 0, first, second, random.uniform(-3, 3))
