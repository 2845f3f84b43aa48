"""The last guard of the terminal: whatever a widget draws, no letter of it steers the terminal."""

from rich.cells import get_character_cell_size
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from tui.library.plain_text import plain
from tui.terminal.kitty import PLACEHOLDER
from tui.terminal.stand_ins import FIRST, LAST


class PlainLines(LineFilter):
    """Takes control characters out of every line that is drawn, and keeps its width.

    Texts that are only shown are made plain where they are shown; this is for those that can be edited, whose letters
    must stay as they are, and for what someone forgets.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """`segments` with blanks for what could move the cursor, reorder the line or begin an escape sequence."""
        if all(text.isprintable() for text, _, _ in segments):
            return segments
        return [
            Segment("".join(map(_plain, text)), style, control) if not (control or text.isprintable()) else segment
            for segment in segments
            for text, style, control in [segment]
        ]


def _plain(letter: str) -> str:
    if letter == PLACEHOLDER or FIRST <= ord(letter) <= LAST or plain(letter) == letter:
        return letter  # those that stand for parts of pictures are private letters, too
    return " " * get_character_cell_size(letter)
