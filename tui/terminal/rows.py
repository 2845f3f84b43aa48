"""What stands in each cell of the terminal, so that only cells which become others are sent.

Textual draws whole widgets and screens anew: a letter that is typed costs its pane, a dialog the screen, twice. On a
slow line the next keys would wait behind that.
"""

import re
from typing import Final

from msgspec import Struct

from tui.terminal.stand_ins import FIRST, LAST

_MOVE: Final = re.compile(r"\x1b\[(\d+);(\d+)H")
_PART: Final = re.compile(
    r"\x1b\[([\d;]+)m([^\x00-\x1f\x7f-\x9f]+)\x1b\[0m|([^\x00-\x1f\x7f-\x9f]+)|\x1b\[([\d;]*)m|([\s\S])"
)
"""A style with its letters up to where it ends, letters, a style, or what has no place between them."""

_HARMLESS: Final = re.compile(r"(?:\x1b\[[?<=>][\d;]*[a-z]|\x1b\[[\d;]*[mnt]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\))*")
"""What changes no cell: modes, questions, titles."""

_NARROW: Final = re.compile(
    "[ -~\u00a0-\u00ac\u00ae-\u02ff\u0370-\u0482\u048a-\u052f\u2010-\u2027\u2030-\u205e\u2190-\u21ff\u2200-\u22ff"
    f"\u2500-\u25ff\u2605\u2606\u2713\u2717\u2800-\u28ff{chr(FIRST)}-{chr(LAST)}]*"
)
"""Letters that every terminal shows in one cell."""

_RESET: Final = "\x1b[0m"

_HOLE: Final = chr(FIRST)

_UNSURE: Final = "?"
"""The style of a cell that the terminal shows so by itself: it is sent when it is drawn."""

Part = tuple[str, str]
"""A style and letters."""


class Row(Struct):
    """The cells of a row from the left; one that is not known has no letter."""

    letters: list[str] = []
    styles: list[str] = []


class Pen:
    """Writes cells, with as few moves and colours between them as can be."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self._at = (0, 0)
        self._style = ""
        self._cut = 0
        """Where the background begins in the style."""

    def write(self, row: int, column: int, style: str, letters: str) -> None:
        """Write `letters` from `column` on, counted from 0."""
        if self._at != (row, column):
            self.move(row, column)
        if style != self._style:
            self._change(style)
        self.written.append(letters)
        self._at = row, column + len(letters)
        if letters[-1] >= _HOLE:  # a picture's cells bring a colour of their own
            self._change("")

    def _change(self, style: str) -> None:
        """Use another style: of two colours, only what changes is told."""
        old, new, before = self._cut, _background(style), self._style
        if not old or not new:
            told = (_RESET if before else "") + style
        elif before[:old] == style[:new]:
            told = f"\x1b[{style[new + 1 :]}"
        else:
            told = f"{style[:new]}m" if before[old:] == style[new:] else style
        self.written.append(told)
        self._style, self._cut = style, new

    def write_row(self, row: int, column: int, parts: list[Part]) -> None:
        """Write all of `parts`, of whatever width; the place behind them is not known."""
        for style, letters in parts:
            self.write(row, column, style, letters)
            column = self._at[1]
        self._at = (0, 0)

    def move(self, row: int, column: int) -> None:
        """Go there."""
        if self._at != (row, column):
            self.written.append(f"\x1b[{row};{column + 1}H")
            self._at = (row, column)

    def end(self) -> str:
        """All that was written."""
        return "".join(self.written) + (_RESET if self._style else "")


class Rows:
    """Used by the driver alone; knows only what went through it."""

    def __init__(self) -> None:
        self._rows: dict[int, Row] = {}
        self._texts: dict[int, str] = {}
        """What was written of each row that was last written from its first cell on."""
        self._wide: set[int] = set()
        """Rows with letters of whose width terminals disagree; all that is drawn of these is sent."""

    def forget(self) -> None:
        """The terminal may show anything now."""
        self._rows.clear()
        self._texts.clear()
        self._wide.clear()

    def cover(self, column: int, row: int, columns: int, rows: int) -> None:
        """Pixels lie over some cells, whose letters are to be sent again: `column` and `row` are counted from 0."""
        for number in range(row + 1, row + rows + 1):
            self._texts.pop(number, None)
            if number in self._rows:
                letters = self._rows[number].letters
                known = max(min(len(letters) - column, columns), 0)
                letters[column : column + known] = [""] * known

    def changed(self, frame: str, width: int) -> str:
        """`frame`, for a terminal of `width` columns, without the cells that stand there already."""
        head, *moves = _MOVE.split(frame)
        pen, row, column, text = Pen(), 0, 0, ""
        for place in range(0, len(moves), 3):
            row, column, text = int(moves[place]), int(moves[place + 1]), moves[place + 2].rstrip("\r\n")
            if not text or (column == 1 and self._texts.get(row) == text):
                continue
            parts = _parts(text)
            if parts is None:
                self.forget()
                return frame
            self._draw(pen, row, column - 1, parts, width)
            self._texts.pop(row, None)
            if column == 1 and row not in self._wide:
                self._texts[row] = text
        if not _HARMLESS.fullmatch(head):
            self.forget()
            return frame
        if row and not text:  # where the cursor is to stay
            pen.move(row, column - 1)
        return head + pen.end()

    def _draw(self, pen: Pen, number: int, left: int, parts: list[Part], width: int) -> None:
        letters = "".join(text for _, text in parts)
        right = left + len(letters)
        if not _NARROW.fullmatch(letters):
            self._wide.add(number)
        elif left == 0 and right >= width:
            self._wide.discard(number)
        if number in self._wide:
            self._rows.pop(number, None)
            pen.write_row(number, left, parts)
            return
        row = self._rows.setdefault(number, Row())
        if (missing := right + 1 - len(row.letters)) > 0:
            row.letters += [""] * missing
            row.styles += [""] * missing
        before, had = row.letters[left:right], row.styles[left:right]
        ends: list[int] = []
        at = 0
        for style, text in parts:
            first, last = _others(before, had, at, style, text)
            if first < last:
                pen.write(number, left + first, style, letters[first:last])
                if ends and ends[-1] == first:
                    ends.pop()
                ends.append(last)
            at += len(text)
        row.letters[left:right] = letters
        row.styles[left:right] = [style for style, text in parts for _ in text]
        for end in ends:
            _continue(pen, number, row, left + end, before[end - 1])


def _parts(text: str) -> list[Part] | None:
    """`text` as styles and letters; None where something else is in it."""
    parts: list[Part] = []
    style = ""
    for numbers, letters, bare, alone, other in _PART.findall(text):
        if letters:
            parts.append((f"{style}\x1b[{numbers}m", letters))
            style = ""
        elif bare:
            parts.append((style, bare))
        elif other:
            return None
        else:
            style = "" if alone in ("", "0") else f"{style}\x1b[{alone}m"
    return parts


def _others(letters: list[str], styles: list[str], at: int, style: str, text: str) -> tuple[int, int]:
    """Where the first letter of `text` is, from `at` on, that does not stand there yet, and the end of the last."""
    if len(text) == 1:
        return at, at + (letters[at] != text or styles[at] != style)
    others = [place for place, now in enumerate(text, at) if letters[place] != now or styles[place] != style]
    return (others[0], others[-1] + 1) if others else (at, at)


def _continue(pen: Pen, number: int, row: Row, at: int, before: str) -> None:
    """See that a picture goes on behind a cell that was written, in which `before` stood.

    The cell of a picture that has one of the same picture at its left is known to the terminal by that one alone.
    """
    left, letter = row.letters[at - 1], row.letters[at]
    if not _is_picture(letter) or _follows(letter, left):
        return
    if not (_is_picture(left) and _follows(letter, before)):
        pen.write(number, at, row.styles[at].replace(_UNSURE, ""), letter)
        return
    while _is_picture(letter) and _follows(letter, before):  # it shows the other picture by now
        before, left = letter, chr(ord(left) + 1)
        row.letters[at], row.styles[at] = left, _UNSURE
        at += 1
        letter = row.letters[at] if at < len(row.letters) else ""


def _is_picture(letter: str) -> bool:
    return _HOLE < letter <= chr(LAST)


def _follows(letter: str, before: str) -> bool:
    return before != "" and ord(letter) == ord(before) + 1


def _background(style: str) -> int:
    """Where the background begins in a style of two colours and nothing else; 0 for all others."""
    if style[:7] == "\x1b[38;2;" and style.rfind("\x1b") == 0:
        return max(style.find(";48;2;"), 0)
    return 0
