"""Cells that stand in for pictures while they pass through Textual, and get their meaning on the way out.

Textual draws, tints, cuts and moves cells of text. A cell of a picture is one private character to it; only when a
frame is written does that character become what the terminal understands. So neither a dialog that darkens what lies
below it nor a palette of 256 colours can change which picture a cell belongs to.
"""

import bisect
import re
from collections.abc import Callable
from typing import Final

FIRST: Final = 0x100000
"""The hole; the cells of pictures follow. The second private plane, which icon fonts leave alone."""

LAST: Final = 0x10DFFF

HOLE: Final = chr(FIRST)
"""A cell that is not to be written, since a picture lies over it."""

_RUN = re.compile(f"[{chr(FIRST)}-{chr(LAST)}]+")

Spell = Callable[[int, int, int], str]
"""Given a row, its first column and a length: the text for those cells of a picture."""


class StandIns:
    """Hands out private characters, a block for a picture, and spells them out."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._blocks: dict[int, tuple[int, int, Spell]] = {}
        self._next = FIRST + 1

    def add(self, columns: int, rows: int, spell: Spell) -> list[str]:
        """Rows of characters for a picture of `columns` × `rows` cells.

        Raises:
            ValueError: the private characters are used up.
        """
        size = columns * rows
        start = self._room(size)
        bisect.insort(self._starts, start)
        self._blocks[start] = (columns, size, spell)
        self._next = start + size
        return ["".join(map(chr, range(start + row * columns, start + (row + 1) * columns))) for row in range(rows)]

    def remove(self, rows: list[str]) -> None:
        """Forget a picture; its characters mean nothing from now on."""
        start = ord(rows[0][0])
        if self._blocks.pop(start, None) is not None:
            self._starts.remove(start)

    def spell(self, frame: str) -> str:
        """`frame`, every stand-in replaced by what it stands for."""
        if frame.isascii():
            return frame
        return _RUN.sub(self._spelled, frame)

    def _room(self, size: int) -> int:
        start = self._next
        for _ in range(len(self._starts) + 2):
            if start + size > LAST + 1:
                start = FIRST + 1
            taken = self._overlap(start, size)
            if taken is None:
                return start
            start = taken
        raise ValueError("too many pictures at a time")

    def _overlap(self, start: int, size: int) -> int | None:
        """Where the first block that is in the way of one at `start` ends; None when none is."""
        for block in self._starts:
            end = block + self._blocks[block][1]
            if block < start + size and start < end:
                return end
        return None

    def _spelled(self, run: re.Match[str]) -> str:
        text, told, position = run.group(), [], 0
        while position < len(text):
            length, what = self._piece(text, position)
            told.append(what)
            position += length
        return "".join(told)

    def _piece(self, text: str, position: int) -> tuple[int, str]:
        """How many characters belong together from `position` on, and what they mean."""
        code = ord(text[position])
        if code == FIRST:
            length = len(text) - position - len(text[position:].lstrip(HOLE))
            return length, f"\x1b[{length}C"
        index = bisect.bisect_right(self._starts, code) - 1
        if index < 0 or code >= self._starts[index] + self._blocks[self._starts[index]][1]:
            return 1, " "  # of a picture that is gone
        start = self._starts[index]
        columns, _, spell = self._blocks[start]
        row, column = divmod(code - start, columns)
        length = 1
        while (
            column + length < columns
            and position + length < len(text)
            and ord(text[position + length]) == code + length
        ):
            length += 1
        return length, spell(row, column, length)
