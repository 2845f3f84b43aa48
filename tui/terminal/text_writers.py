"""Pictures as text: half blocks in colour, letters without, or nothing at all."""

from typing import Final

from PIL import Image
from rich.segment import Segment

from tui.terminal.half_blocks import half_blocks
from tui.terminal.quadrants import quadrants
from tui.terminal.writer import PLAIN, Area, Drawing, KeepsNothing, flat

LETTERS: Final = " .:-=+*#%@"
"""From dark to bright, on a dark ground."""

LIVE_LEVELS: Final = 5
"""Bits of a colour that live frames keep, so that neighbours are alike and cost nothing."""


class HalfBlockWriter(KeepsNothing):
    """Two pixels a cell; still pictures four, in two colours, where the terminal is sure to have quadrants."""

    overlay = False
    paced_by_lines = True

    def __init__(self, *, quadrants: bool = False) -> None:
        self._quadrants = quadrants

    def draw(self, image: Image.Image, area: Area, *, live: bool) -> Drawing:
        """Every cell its two colours."""
        if self._quadrants and not live:
            return Drawing(area=area, lines=quadrants(flat(image), area.columns, area.rows))
        small = flat(image).resize((area.columns, area.rows * 2), Image.Resampling.BOX)
        if live:
            kept = 0xFF << (8 - LIVE_LEVELS) & 0xFF
            small = small.point([(value & kept) | value >> LIVE_LEVELS for value in range(256)] * 3)
        return Drawing(area=area, lines=half_blocks(small, area.columns, area.rows))


class AsciiWriter(HalfBlockWriter):
    """A letter a cell, the denser the brighter."""

    def draw(self, image: Image.Image, area: Area, *, live: bool) -> Drawing:
        """Letters, without colours."""
        grey = flat(image).convert("L").resize((area.columns, area.rows), Image.Resampling.BOX)
        letters = [LETTERS[value * len(LETTERS) // 256] for value in grey.tobytes()]
        rows = ("".join(letters[start : start + area.columns]) for start in range(0, len(letters), area.columns))
        return Drawing(area=area, lines=[[Segment(row, PLAIN)] for row in rows])


class NothingWriter(HalfBlockWriter):
    """No pictures."""

    def draw(self, image: Image.Image, area: Area, *, live: bool) -> Drawing:
        """Empty cells."""
        return Drawing(area=area, lines=[[Segment(" " * area.columns, PLAIN)] for _ in range(area.rows)])
