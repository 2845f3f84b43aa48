"""Shapes of pictures, at the number of pixels that a model was made for."""

from math import sqrt
from typing import Final

ASPECTS: Final[dict[str, tuple[int, int]]] = {
    "1:1": (1, 1),
    "5:4": (5, 4),
    "4:3": (4, 3),
    "3:2": (3, 2),
    "16:9": (16, 9),
    "21:9": (21, 9),
    "4:5": (4, 5),
    "3:4": (3, 4),
    "2:3": (2, 3),
    "9:16": (9, 16),
}


def size_of(aspect: str, pixels: int, multiple: int) -> tuple[int, int]:
    """Width and height of that shape with about `pixels` pixels in all, each a multiple of `multiple`."""
    across, down = ASPECTS[aspect]
    scale = sqrt(pixels / (across * down))
    return _rounded(across * scale, multiple), _rounded(down * scale, multiple)


def aspect_of(width: int, height: int, pixels: int, multiple: int) -> str | None:
    """The shape that has exactly this size; None when none does."""
    return next((name for name in ASPECTS if size_of(name, pixels, multiple) == (width, height)), None)


def fitted(width: int, height: int, multiple: int, *, least: int = 64, most: int = 8192) -> tuple[int, int]:
    """The size next to `width` × `height` that a model can draw."""
    return tuple(min(max(_rounded(side, multiple), least), most) for side in (width, height))  # type: ignore[return-value]


def _rounded(side: float, multiple: int) -> int:
    return max(round(side / multiple), 1) * multiple
