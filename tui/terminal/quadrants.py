"""Pictures as quarters of cells, in two colours each: as many cells as half blocks, and sharper edges."""

from typing import Final

from PIL import Image
from rich.segment import Segment

from tui.terminal.half_blocks import UPPER_HALF, segment

GLYPHS: Final = dict(enumerate("▘▚▌▙▀▜▛█", 8))
"""By the quarters in the foreground: upper left 8, which always is, upper right 4, lower left 2, lower right 1."""

ALIKE: Final = 300
"""Square of the distance of two colours that need not be told apart; half blocks show such cells as smoothly."""


def quadrants(image: Image.Image, columns: int, rows: int) -> list[list[Segment]]:
    """`image` as `rows` lines of `columns` cells, stretched to fill them."""
    small = image.convert("RGB").resize((2 * columns, 2 * rows), Image.Resampling.BOX)
    data, stride = small.tobytes(), 6 * columns
    lines = [data[start : start + stride] for start in range(0, len(data), stride)]
    return [_line(upper, lower) for upper, lower in zip(lines[::2], lines[1::2], strict=True)]


def _line(upper: bytes, lower: bytes) -> list[Segment]:
    """One row of cells; alike neighbours share a segment."""
    line: list[Segment] = []
    run, last = 0, ("", b"", b"")
    for start in range(0, len(upper), 6):
        cell = _cell(upper[start : start + 6], lower[start : start + 6])
        if run and cell != last:
            line.append(segment(last[0] * run, last[1], last[2]))
            run = 0
        run, last = run + 1, cell
    line.append(segment(last[0] * run, last[1], last[2]))
    return line


def _cell(upper: bytes, lower: bytes) -> tuple[str, bytes, bytes]:
    """The character for four quarters, and the colours of its foreground and background."""
    quarters = (upper[:3], upper[3:], lower[:3], lower[3:])
    if quarters[0] == quarters[1] and quarters[2] == quarters[3]:
        return UPPER_HALF, quarters[0], quarters[2]
    apart, one, other = max(
        (_distance(quarters[one], quarters[other]), one, other) for one in range(3) for other in range(one + 1, 4)
    )
    if apart < ALIKE:
        return UPPER_HALF, _mean(quarters[:2]), _mean(quarters[2:])
    with_one = [_distance(quarter, quarters[one]) <= _distance(quarter, quarters[other]) for quarter in quarters]
    front = [is_with == with_one[0] for is_with in with_one]
    glyph = GLYPHS[sum(8 >> index for index, is_front in enumerate(front) if is_front)]
    return glyph, _mean(_those(quarters, front, True)), _mean(_those(quarters, front, False))


def _those(quarters: tuple[bytes, ...], front: list[bool], which: bool) -> tuple[bytes, ...]:
    return tuple(quarter for quarter, is_front in zip(quarters, front, strict=True) if is_front == which)


def _distance(one: bytes, other: bytes) -> int:
    red, green, blue = one[0] - other[0], one[1] - other[1], one[2] - other[2]
    return red * red + green * green + blue * blue


def _mean(colours: tuple[bytes, ...]) -> bytes:
    if len(colours) == 1:
        return colours[0]
    return bytes(sum(channel) // len(colours) for channel in zip(*colours, strict=True))
