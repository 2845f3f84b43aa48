"""Pictures as kitty's graphics protocol has them, tied to text cells by Unicode placeholders.

See https://sw.kovidgoyal.net/kitty/graphics-protocol/#unicode-placeholders. A picture's number is spelled by a colour
of the palette (its low byte) and by a third diacritic (its high byte), which no terminal in between changes.
"""

import base64
import io
import itertools
import secrets
from typing import Final

from PIL import Image
from rich.segment import Segment

from tui.terminal.stand_ins import StandIns
from tui.terminal.writer import PIECE, PLAIN, Area, Drawing, Piece, fitted

PLACEHOLDER: Final = "\U0010eeee"

BYTES_PER_PIXEL: Final = 0.46
"""Of a still picture, before it is written as text, which makes four thirds of it."""

SCALES: Final = (1.0, 0.9, 0.8, 0.7, 0.6)
"""How small a still picture may be made so that it fits its budget; the terminal enlarges it again."""

SMALLEST_BUDGET: Final = 32 << 10
"""Bytes that a still picture may take however few pixels it has."""

MOST_CELLS: Final = 296
"""Columns or rows that have a diacritic."""


class KittyWriter:
    """Sends a picture once, under a number; cells refer to it from then on."""

    overlay = False
    paced_by_lines = False

    def __init__(self, stand_ins: StandIns, *, tmux: bool = False) -> None:
        self._stand_ins = stand_ins
        self._tmux = tmux
        self._low = secrets.randbelow(255) + 1
        self._high = itertools.cycle(range(1, 256))
        self._rows: dict[int, list[str]] = {}
        self._painted: set[int] = set()
        self._cut: set[int] = set()
        """Pictures some of whose rows were written in parts, as when something lay over them."""

    def draw(self, image: Image.Image, area: Area, *, live: bool) -> Drawing:
        """A PNG of no more pixels than `area` has; with `live` of 256 colours."""
        number = next(self._high) << 24 | self._low
        data = base64.standard_b64encode(encode(fitted(image, area, enlarge=False), live=live)).decode()
        chunks = [data[start : start + PIECE] for start in range(0, len(data), PIECE)]
        pieces = []
        for index, chunk in enumerate(chunks):
            head = f"a=t,f=100,i={number},q=2," if index == 0 else "q=2,"
            pieces.append(Piece(self._command(f"{head}m={int(index + 1 < len(chunks))}", chunk)))
        pieces.append(Piece(self._placement(number, area)))
        return Drawing(area=area, lines=self._lines(number, area), pieces=pieces, number=number)

    def move(self, drawing: Drawing, area: Area) -> Drawing | None:
        """Another placement of what the terminal has already."""
        self._drop(drawing.number)
        lines = self._lines(drawing.number, area)
        return Drawing(
            area=area, lines=lines, pieces=[Piece(self._placement(drawing.number, area))], number=drawing.number
        )

    def columns(self, before: Drawing | None, drawing: Drawing) -> int:
        """One where the rest of each row goes by its first cell: a tenth of the bytes."""
        if before is None or before.area != drawing.area or before.number in self._cut or self._tmux:
            return drawing.area.columns
        return 1

    def is_painted(self, drawing: Drawing) -> bool:
        """Whether cells that refer to it are on the screen; until then those of the picture before are."""
        return drawing.number in self._painted

    def forget(self, drawing: Drawing) -> str:
        """Delete the picture, not only its places, so that the terminal's memory is free again."""
        self._drop(drawing.number)
        self._painted.discard(drawing.number)
        return self._command(f"a=d,d=I,i={drawing.number},q=2")

    def _placement(self, number: int, area: Area) -> str:
        return self._command(f"a=p,U=1,i={number},c={area.columns},r={area.rows},q=2")

    def _lines(self, number: int, area: Area) -> list[list[Segment]]:
        def spell(row: int, column: int, length: int) -> str:
            self._painted.add(number)
            if column:
                self._cut.add(number)
            return f"\x1b[38;5;{number & 255}m{self.cells(number, row, column, length)}\x1b[39m"

        self._cut.discard(number)
        self._rows[number] = self._stand_ins.add(area.columns, area.rows, spell)
        return [[Segment(row, PLAIN)] for row in self._rows[number]]

    def cells(self, number: int, row: int, column: int, length: int) -> str:
        """The placeholders of some cells of a row; outside tmux each cell after the first continues the one before."""
        high = DIACRITICS[number >> 24]
        if self._tmux:
            return "".join(PLACEHOLDER + DIACRITICS[row] + DIACRITICS[column + at] + high for at in range(length))
        return PLACEHOLDER + DIACRITICS[row] + DIACRITICS[column] + high + PLACEHOLDER * (length - 1)

    def _drop(self, number: int) -> None:
        self._cut.discard(number)
        rows = self._rows.pop(number, None)
        if rows is not None:
            self._stand_ins.remove(rows)

    def _command(self, control: str, payload: str = "") -> str:
        command = f"\x1b_G{control};{payload}\x1b\\" if payload else f"\x1b_G{control}\x1b\\"
        return through_tmux(command) if self._tmux else command


def through_tmux(command: str) -> str:
    """`command` so that tmux hands it on to the terminal that it is seen in."""
    return "\x1bPtmux;" + command.replace("\x1b", "\x1b\x1b") + "\x1b\\"


def encode(image: Image.Image, *, live: bool) -> bytes:
    """`image`, in RGB, as a PNG: all its colours where that is small enough, else 256 and as many pixels as fit."""
    if live:
        return _png(image.quantize(256, method=Image.Quantize.FASTOCTREE))
    budget = max(int(image.width * image.height * BYTES_PER_PIXEL), SMALLEST_BUDGET)
    if _is_simple(image, budget) and len(whole := _png(image)) <= budget:
        return whole
    data = b""
    for scale in SCALES:
        size = max(int(image.width * scale), 1), max(int(image.height * scale), 1)
        small = image if scale == 1 else image.resize(size, Image.Resampling.LANCZOS)
        palette = small.quantize(256, method=Image.Quantize.FASTOCTREE)
        data = _png(small.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG))
        if len(data) <= budget:
            break
    return data


def _is_simple(image: Image.Image, budget: int) -> bool:
    """Whether all its colours may fit the budget: a tenth of it, pressed lightly, tells in a tenth of the time."""
    tenth = max(image.height // 10, 1)
    strip = image.crop((0, image.height // 2, image.width, image.height // 2 + tenth))
    return len(_png(strip, level=1)) * image.height / tenth <= budget * 1.5


def _png(image: Image.Image, level: int | None = None) -> bytes:
    data = io.BytesIO()
    image.save(data, "PNG", compress_level=level or (6 if image.mode == "RGB" else 9))
    return data.getvalue()


# kitty's rowcolumn-diacritics.txt: combining characters that count rows, columns and high bytes, as ranges
_RANGES: Final = (
    "305 30d-30e 310 312 33d-33f 346 34a-34c 350-352 357 35b 363-36f 483-487 592-595 597-599 59c-5a1 5a8-5a9 "
    "5ab-5ac 5af 5c4 610-617 657-65b 65d-65e 6d6-6dc 6df-6e2 6e4 6e7-6e8 6eb-6ec 730 732-733 735-736 73a 73d "
    "73f-741 743 745 747 749-74a 7eb-7f1 7f3 816-819 81b-823 825-827 829-82d 951 953-954 f82-f83 f86-f87 "
    "135d-135f 17dd 193a 1a17 1a75-1a7c 1b6b 1b6d-1b73 1cd0-1cd2 1cda-1cdb 1ce0 1dc0-1dc1 1dc3-1dc9 1dcb-1dcc "
    "1dd1-1de6 1dfe 20d0-20d1 20d4-20d7 20db-20dc 20e1 20e7 20e9 20f0 2cef-2cf1 2de0-2dff a66f a67c-a67d "
    "a6f0-a6f1 a8e0-a8f1 aab0 aab2-aab3 aab7-aab8 aabe-aabf aac1 fe20-fe26 10a0f 10a38 1d185-1d189 "
    "1d1aa-1d1ad 1d242-1d244 "
)


def _spread(ranges: str) -> tuple[str, ...]:
    ends = (part.partition("-") for part in ranges.split())
    return tuple(chr(code) for first, _, last in ends for code in range(int(first, 16), int(last or first, 16) + 1))


DIACRITICS: Final = _spread(_RANGES)
"""The combining character for each number from 0."""
