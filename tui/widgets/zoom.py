"""Which part of a picture is seen: all of it, or as much as fits at one or two screen pixels a pixel."""

from dataclasses import dataclass, replace
from typing import Final

LEVELS: Final = (0, 1, 2)
"""Screen pixels a pixel; 0 fits the whole picture in."""

NAMES: Final = {0: "fit", 1: "1:1", 2: "2:1"}

STEP: Final = 0.25
"""How far one key moves, of what is seen."""


@dataclass(frozen=True)
class Zoom:
    """A level and the point in the middle, as fractions of the picture's width and height."""

    level: int = 0
    x: float = 0.5
    y: float = 0.5

    @property
    def name(self) -> str:
        """What the level is called."""
        return NAMES[self.level]

    def nearer(self, steps: int) -> "Zoom":
        """`steps` levels closer, or farther if below zero."""
        return replace(self, level=LEVELS[min(max(LEVELS.index(self.level) + steps, 0), len(LEVELS) - 1)])

    def box(self, size: tuple[int, int], room: tuple[int, int]) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of what is seen of a picture of `size` in `room` screen pixels."""
        if not self.level:
            return 0, 0, *size
        left, right = _span(size[0], room[0] // self.level, self.x)
        top, bottom = _span(size[1], room[1] // self.level, self.y)
        return left, top, right, bottom

    def moved(self, across: int, down: int, size: tuple[int, int], room: tuple[int, int]) -> "Zoom":
        """A step to the right and down, or left and up if below zero, but never beyond the picture's edges."""
        left, top, right, bottom = self.box(size, room)
        width, height = right - left, bottom - top
        x = _middle(size[0], width, (left + right) / 2 + across * STEP * width)
        y = _middle(size[1], height, (top + bottom) / 2 + down * STEP * height)
        return replace(self, x=x, y=y)


def _span(whole: int, seen: int, middle: float) -> tuple[int, int]:
    seen = max(min(seen, whole), 1)
    first = min(max(round(middle * whole - seen / 2), 0), whole - seen)
    return first, first + seen


def _middle(whole: int, seen: int, wanted: float) -> float:
    return min(max(wanted, seen / 2), whole - seen / 2) / whole
