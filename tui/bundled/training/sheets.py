"""Many pictures on one, to be looked at."""

from collections.abc import Sequence
from typing import Final

from PIL import Image, ImageDraw

from tui.bundled.training.measures import Bytes

LINE: Final = 16
"""Pixels of height for a label."""


def labelled_sheet(pictures: Sequence[Bytes], labels: Sequence[str], columns: int, edge: int) -> Image.Image:
    """`pictures` in rows of `columns`, each `edge` pixels wide and high, with its label, cut to fit, below it."""
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * edge, rows * (edge + LINE)), "white")
    pen = ImageDraw.Draw(sheet)
    for place, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        x, y = place % columns * edge, place // columns * (edge + LINE)
        sheet.paste(Image.fromarray(picture).resize((edge - 2, edge - 2), Image.Resampling.LANCZOS), (x, y))
        pen.text((x + 2, y + edge - 1), label[: edge // 6], fill="black")
    return sheet
