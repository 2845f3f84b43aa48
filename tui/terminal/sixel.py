"""Pictures as sixels, in strips of a row or two, so that keys go between them. textual-image does the encoding."""

import re
from typing import Final

from PIL import Image
from rich.segment import Segment
from textual_image._sixel import SixelOptions, image_to_sixels

from tui.terminal.stand_ins import HOLE
from tui.terminal.writer import PLAIN, Area, Drawing, KeepsNothing, Piece, fitted, flat, padded

LIVE_COLOURS: Final = 64

STILL_COLOURS: Final = (256, 128, 64)
"""How many colours a still picture may have, as many as the budget allows."""

BYTES_PER_PIXEL: Final = 0.65
"""Of a still picture."""

STRIP: Final = 12 << 10
"""Bytes of a strip, roughly."""

_DEFINITION: Final = re.compile(r"#(\d+);2;\d+;\d+;\d+")

_HEAD: Final = "\x1bP0;0;0q"


class SixelWriter(KeepsNothing):
    """Sends the picture's pixels to where its cells are; the cells themselves are left alone."""

    overlay = True
    paced_by_lines = False

    def draw(self, image: Image.Image, area: Area, *, live: bool) -> Drawing:
        """Exactly the area's pixels; with `live` of few colours and enlarged in squares, which repeat cheaply."""
        if live:
            scale = min(area.pixels[0] / image.width, area.pixels[1] / image.height)
            size = max(round(image.width * scale), 1), max(round(image.height * scale), 1)
            large = flat(image).resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX)
            strips = _strips(padded(large, area).quantize(LIVE_COLOURS, method=Image.Quantize.MEDIANCUT), area)
        else:
            strips = _still(padded(fitted(image, area, enlarge=True), area), area)
        return Drawing(area=area, lines=holes(area), pieces=strips)


def holes(area: Area) -> list[list[Segment]]:
    """Cells that are not to be written."""
    return [[Segment(HOLE * area.columns, PLAIN)] for _ in range(area.rows)]


def strip_rows(size: int, rows: int, strip: int) -> int:
    """How many rows of cells make strips of about `strip` bytes, when all `rows` take `size`."""
    return max(1, min(rows, strip * rows // max(size, 1)))


def _still(image: Image.Image, area: Area) -> list[Piece]:
    budget = image.width * image.height * BYTES_PER_PIXEL
    strips: list[Piece] = []
    for colours in STILL_COLOURS:
        strips = _strips(image.quantize(colours, method=Image.Quantize.MEDIANCUT), area)
        if sum(len(strip.text) for strip in strips) <= budget:
            break
    return strips


def _strips(image: Image.Image, area: Area) -> list[Piece]:
    """The strips of `image`, which has a palette, from the top."""
    rows = strip_rows(int(image.width * image.height * BYTES_PER_PIXEL), area.rows, STRIP)
    strips = []
    for row in range(0, area.rows, rows):
        top, bottom = row * area.cell_height, min(row + rows, area.rows) * area.cell_height
        text = image_to_sixels(image.crop((0, top, image.width, bottom)), SixelOptions())
        strips.append(Piece(_tidied(text), row))
    return strips


def _tidied(text: str) -> str:
    """Sixels with every colour defined first, as xterm needs it, and no line feed at the end, which could scroll."""
    size, _, body = text.removeprefix(_HEAD).removesuffix("-\x1b\\").partition("#")
    colours = "".join(match.group() for match in _DEFINITION.finditer("#" + body))
    return _HEAD + size + colours + _DEFINITION.sub(r"#\1", "#" + body) + "\x1b\\"
