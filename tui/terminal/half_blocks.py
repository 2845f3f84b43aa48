"""Pictures as coloured half blocks: two pixels a cell, in any terminal with colours."""

from typing import Final

from PIL import Image
from rich.color import Color
from rich.segment import Segment
from rich.style import Style

UPPER_HALF = "▀"

CUBE: Final = (0, 95, 135, 175, 215, 255)
"""The levels of each colour in the palette of 256."""


def fit(width: int, height: int, columns: int, rows: int, cell_ratio: float = 2.0) -> tuple[int, int]:
    """The columns and rows that a picture of `width` × `height` pixels fills, as large as `columns` × `rows` allow.

    `cell_ratio` is a cell's height over its width. At least one cell, aspect ratio kept.
    """
    scale = min(columns / width, rows * cell_ratio / height)
    return max(1, min(columns, round(width * scale))), max(1, min(rows, round(height * scale / cell_ratio)))


def half_blocks(image: Image.Image, columns: int, rows: int) -> list[list[Segment]]:
    """`image` as `rows` lines of `columns` cells, stretched to fill them."""
    small = image.convert("RGB").resize((columns, rows * 2), Image.Resampling.BOX)
    pixels = small.tobytes()
    return [_line(pixels, columns, row) for row in range(rows)]


def in_palette(image: Image.Image, columns: int, rows: int) -> list[list[Segment]]:
    """The same in colours that every palette of 256 has."""
    small = image.convert("RGB").resize((columns, rows * 2), Image.Resampling.BOX)
    nearest = [min(CUBE, key=lambda level: abs(level - value)) for value in range(256)]
    return half_blocks(small.point(nearest * 3), columns, rows)


def _line(pixels: bytes, columns: int, row: int) -> list[Segment]:
    """One row of cells; neighbours of the same two colours share a segment."""
    stride = columns * 3
    upper, lower = pixels[2 * row * stride :], pixels[(2 * row + 1) * stride :]
    line: list[Segment] = []
    run, colours = 0, b""
    for start in range(0, stride, 3):
        here = upper[start : start + 3] + lower[start : start + 3]
        if run and here != colours:
            line.append(segment(UPPER_HALF * run, colours[:3], colours[3:]))
            run = 0
        run, colours = run + 1, here
    line.append(segment(UPPER_HALF * run, colours[:3], colours[3:]))
    return line


def segment(text: str, front: bytes, back: bytes) -> Segment:
    """`text` in two colours, three bytes each."""
    return Segment(text, Style(color=Color.from_rgb(*front), bgcolor=Color.from_rgb(*back)))
