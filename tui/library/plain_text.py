"""Foreign text made safe to draw: file names, metadata, model names and error texts may carry escape sequences."""

import unicodedata

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
