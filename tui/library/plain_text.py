"""Foreign text made safe to draw: file names, metadata, model names and error texts may carry escape sequences."""

import unicodedata

from rich.cells import cell_len

_UNSAFE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories of control, format (bidirectional overrides among them), surrogate and unassigned characters."""


def plain(text: str, *, keep_newlines: bool = False) -> str:
    """`text` without characters that could move the cursor, reorder the line or start an escape sequence.

    Line breaks and tabs become spaces unless `keep_newlines`; joiners that emoji need (U+200D) stay.
    """
    return "".join(_plain(letter, keep_newlines) for letter in text)


def _plain(letter: str, keep_newlines: bool) -> str:
    if letter == "\n" and keep_newlines:
        return letter
    if letter in "\n\r\t":
        return " "
    if letter == "\u200d" or unicodedata.category(letter) not in _UNSAFE:
        return letter
    return "\ufffd" if unicodedata.category(letter) in {"Cs", "Cn", "Co"} else ""


def shortened(text: str, cells: int) -> str:
    """`text` in at most `cells` cells of a terminal: of a longer one its beginning and, where names differ, its end."""
    if cell_len(text) <= cells:
        return text
    tail = _of_width(text[::-1], cells // 4)[::-1]
    return f"{_of_width(text, cells - 1 - cell_len(tail))}…{tail}"


def _of_width(text: str, cells: int) -> str:
    """As many letters of `text` as fit into `cells`."""
    taken = 0
    for place, letter in enumerate(text):
        taken += cell_len(letter)
        if taken > cells:
            return text[:place]
    return text
