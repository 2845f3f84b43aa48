"""A picture between lines of text, for programs that print and go on."""

import io
from typing import Literal

from PIL import Image
from rich.console import Console
from rich.segment import Segments

from tui.terminal.choice import Preview
from tui.terminal.half_blocks import fit
from tui.terminal.pictures import Pictures
from tui.terminal.terminal import Terminal
from tui.terminal.writer import Area

MOST_COLUMNS = 64
"""A picture need not fill a wide terminal."""

LEFT_ROWS = 4
"""Rows that stay free for what is printed around it."""


class InlinePictures:
    """Pictures for one terminal, made to be printed."""

    def __init__(self, terminal: Terminal, wanted: Preview = "auto") -> None:
        self._terminal = terminal
        self._pictures = Pictures(terminal, wanted)

    @property
    def any(self) -> bool:
        """Whether a picture can be shown in a way that looks like one."""
        protocol = self._pictures.choice.protocol
        return protocol not in ("off", "ascii") and (protocol != "halfblock" or self._terminal.colours)

    @property
    def pixels(self) -> tuple[int, int]:
        """The most pixels that a picture can show, across and down; more need not be fetched."""
        width, height = self._pictures.cell if self._pictures.shows_pixels else (2, 4)
        columns, rows = self._room
        return columns * width, rows * height

    def text(self, image: Image.Image) -> str:
        """What to print, from the beginning of a line to the beginning of the one after the picture."""
        columns, rows = fit(*image.size, *self._room, self._terminal.cell_ratio)
        area = Area(columns, rows, *self._pictures.cell)
        drawing = self._pictures.pump.writer.draw(image, area, live=False)
        if self._pictures.pump.writer.overlay:
            placed = (f"\x1b7{_down(piece.row or 0)}{piece.text}\x1b8" for piece in drawing.pieces)
            return "\n" * (rows + 1) + f"\x1b[{rows + 1}A" + "".join(placed) + _down(rows)
        told = io.StringIO()
        console = Console(file=told, force_terminal=True, color_system=self._colours, highlight=False)
        for line in drawing.lines:
            console.print(Segments(line), soft_wrap=True, end="")
            told.write("\n")
        return "".join(piece.text for piece in drawing.pieces) + self._pictures.stand_ins.spell(told.getvalue())

    @property
    def _room(self) -> tuple[int, int]:
        return min(self._terminal.columns, MOST_COLUMNS), max(self._terminal.rows - LEFT_ROWS, 8)

    @property
    def _colours(self) -> Literal["256", "truecolor"]:
        return "truecolor" if self._terminal.truecolor else "256"


def _down(rows: int) -> str:
    return f"\x1b[{rows}B" if rows else ""
