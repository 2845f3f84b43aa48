"""Pictures as iTerm2 and WezTerm have them: JPEGs in strips, so that keys go between them.

See https://iterm2.com/documentation-images.html.
"""

import base64
import io
from typing import Final

from PIL import Image

from tui.terminal.sixel import holes, strip_rows
from tui.terminal.writer import Area, Drawing, KeepsNothing, Piece, fitted, padded

LIVE_QUALITY: Final = 60
STILL_QUALITY: Final = 88
"""Of JPEG, from 0 to 95."""

BYTES_PER_PIXEL: Final = 0.4
"""What a still picture takes, roughly."""

STRIP: Final = 12 << 10
"""Bytes of a strip, roughly."""


class ITerm2Writer(KeepsNothing):
    """Sends the picture's pixels to where its cells are; the terminal enlarges them to fill the cells."""

    overlay = True
    paced_by_lines = False

    def draw(self, image: Image.Image, area: Area, *, live: bool) -> Drawing:
        """JPEGs of no more pixels than `area` has."""
        whole = padded(fitted(image, area, enlarge=True), area)
        if live:
            whole = whole.resize((max(whole.width // 2, 1), max(whole.height // 2, 1)), Image.Resampling.BILINEAR)
        size = int(whole.width * whole.height * BYTES_PER_PIXEL)
        rows = strip_rows(size, area.rows, STRIP)
        quality = LIVE_QUALITY if live else STILL_QUALITY
        pieces = []
        for row in range(0, area.rows, rows):
            last = min(row + rows, area.rows)
            box = (0, row * whole.height // area.rows, whole.width, last * whole.height // area.rows)
            pieces.append(Piece(_inline(whole.crop(box), area.columns, last - row, quality), row))
        return Drawing(area=area, lines=holes(area), pieces=pieces)


def _inline(image: Image.Image, columns: int, rows: int, quality: int) -> str:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality)
    told = base64.standard_b64encode(data.getvalue()).decode()
    options = f"inline=1;size={len(data.getvalue())};width={columns};height={rows};preserveAspectRatio=0"
    return f"\x1b]1337;File={options};doNotMoveCursor=1:{told}\x07"
