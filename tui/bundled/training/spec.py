"""What one picture shows, as data: a background and up to four sprites on it; and many such as one array."""

from collections.abc import Sequence
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt
from msgspec import Struct

MAX_SPRITES: Final = 4

Pattern = Literal["plain", "gradient", "stripes", "dots", "checkers", "scene"]
PATTERNS: Final[tuple[Pattern, ...]] = get_args(Pattern)

Tint = Literal["own", "black", "white", "gray", "brown", "golden", "hue"]
"""How a sprite's dominant colour is replaced: not at all, by one of the named colours, or by any hue."""
TINTS: Final[tuple[Tint, ...]] = get_args(Tint)

Rgb = tuple[float, float, float]
"""sRGB, 0 to 1."""


class Background(Struct, frozen=True):
    """What is behind the sprites: one colour, two in a pattern, or a scene."""

    pattern: Pattern = "plain"
    scene: int = 0
    """Its place in the bank of scenes; only for a scene."""
    first: Rgb = (0, 0, 0)
    second: Rgb = (0, 0, 0)
    angle: float = 0
    """Of a gradient or of stripes, in radians."""
    frequency: float = 0
    """How many dots or checkers there are along a side; stripes alternate with it."""


class Placed(Struct, frozen=True):
    """A sprite in the picture; lengths are shares of the picture's side."""

    drawing: int
    """Its place among the catalogue's drawings."""
    x: float
    y: float
    size: float
    """Along a side of its square."""
    turn: float = 0
    """In radians."""
    flipped: bool = False
    shadow: float = 0
    """How dark the shadow below it is, 0 to 1."""
    tint: Tint = "own"
    hue: float = 0
    """What its dominant colour becomes, 0 to 1, where the tint has a hue."""


class Spec(Struct, frozen=True):
    """One picture; later sprites cover earlier ones."""

    background: Background
    sprites: tuple[Placed, ...] = ()


ROW: Final = np.dtype(
    [
        ("pattern", "i2"),
        ("scene", "i4"),
        ("first", "f4", 3),
        ("second", "f4", 3),
        ("angle", "f4"),
        ("frequency", "f4"),
        ("drawing", "i4", MAX_SPRITES),
        ("x", "f4", MAX_SPRITES),
        ("y", "f4", MAX_SPRITES),
        ("size", "f4", MAX_SPRITES),
        ("turn", "f4", MAX_SPRITES),
        ("flipped", "i1", MAX_SPRITES),
        ("shadow", "f4", MAX_SPRITES),
        ("tint", "i1", MAX_SPRITES),
        ("hue", "f4", MAX_SPRITES),
    ]
)
"""One spec in an array: patterns and tints by their places in the tuples above, drawing -1 where no sprite is."""

SpecArray = npt.NDArray[np.void]
"""Specs of many pictures, (n,) of `ROW`."""


def pack(specs: Sequence[Spec]) -> SpecArray:
    """`specs` as one array."""
    rows = np.zeros(len(specs), ROW)
    rows["drawing"] = -1
    for row, spec in zip(rows, specs, strict=True):
        _fill(row, spec)
    return rows


def _fill(row: np.void, spec: Spec) -> None:
    background = spec.background
    row["pattern"] = PATTERNS.index(background.pattern)
    for name in ("scene", "first", "second", "angle", "frequency"):
        row[name] = getattr(background, name)
    for place, sprite in enumerate(spec.sprites):
        row["tint"][place] = TINTS.index(sprite.tint)
        for name in ("drawing", "x", "y", "size", "turn", "flipped", "shadow", "hue"):
            row[name][place] = getattr(sprite, name)
