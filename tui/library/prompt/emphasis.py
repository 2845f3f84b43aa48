"""Weights of words: `(word:1.2)`, `((word))`, `[word]`, `BREAK` and escapes, read as A1111 reads them."""

import re
from typing import Final

from msgspec import Struct

from tui.library.prompt.brackets import MAX_NESTED
from tui.library.prompt.numbers import DECIMAL

ROUND: Final = 1.1
"""What a pair of round brackets multiplies by."""

SQUARE: Final = 1 / 1.1
"""What a pair of square brackets multiplies by."""

ESCAPED: Final = r"()[]{}|<>_:\\"
"""Letters that lose their meaning behind a backslash."""

_PIECES = re.compile(
    rf"""
    \\[()\[\]{{}}|<>_:\\] | \\ | \( | \[
    | :\s*+(?P<weight>{DECIMAL})\s*+\)
    | \) | \] | [^\\()\[\]:]+ | :
    """,
    re.VERBOSE,
)
_BREAK = re.compile(r"\bBREAK\b")


class Weighted(Struct, frozen=True):
    """A run of text, and how strongly it pulls."""

    text: str
    weight: float = 1.0
    breaks: bool = False
    """Whether a new chunk begins here; the text is then empty."""


class _Run:
    def __init__(self, text: str, *, breaks: bool = False) -> None:
        self.text = text
        self.weight = 1.0
        self.breaks = breaks


def weigh(text: str) -> list[Weighted]:
    """The runs of `text`, in order; any text has some. What is opened and not closed reaches to the end.

    Brackets inside of more than :data:`MAX_NESTED` others are text.

    Source: https://github.com/AUTOMATIC1111/stable-diffusion-webui, `parse_prompt_attention`.
    """
    runs: list[_Run] = []
    opened: dict[str, list[int]] = {"(": [], "[": []}

    def multiply(start: int, weight: float) -> None:
        for run in runs[start:]:
            run.weight *= weight

    for match in _PIECES.finditer(text):
        piece, weight = match.group(), match["weight"]
        if piece[0] == "\\":
            runs.append(_Run(piece[1:] or "\\"))
        elif piece in opened and len(opened["("]) + len(opened["["]) < MAX_NESTED:
            opened[piece].append(len(runs))
        elif weight is not None and opened["("]:
            multiply(opened["("].pop(), float(weight))
        elif piece == ")" and opened["("]:
            multiply(opened["("].pop(), ROUND)
        elif piece == "]" and opened["["]:
            multiply(opened["["].pop(), SQUARE)
        else:
            runs += _broken(piece)
    for start in opened["("]:
        multiply(start, ROUND)
    for start in opened["["]:
        multiply(start, SQUARE)
    return _merged(runs)


def _broken(piece: str) -> list[_Run]:
    first, *rest = _BREAK.split(piece)
    runs = [_Run(first.rstrip() if rest else first)]
    for number, part in enumerate(rest, 1):
        runs += [_Run("", breaks=True), _Run(part.lstrip() if number == len(rest) else part.strip())]
    return runs


def _merged(runs: list[_Run]) -> list[Weighted]:
    """Neighbours of one weight become one run, so that words are cut into tokens as a whole."""
    merged: list[Weighted] = []
    for run in runs:
        if run.breaks:
            merged.append(Weighted("", breaks=True))
        elif merged and not merged[-1].breaks and merged[-1].weight == run.weight:
            merged[-1] = Weighted(merged[-1].text + run.text, run.weight)
        elif run.text:
            merged.append(Weighted(run.text, run.weight))
    return merged or [Weighted("")]


def escaped(text: str) -> str:
    """`text` so that every letter of it means itself."""
    return "".join(f"\\{letter}" if letter in ESCAPED else letter for letter in text)


def unescaped(text: str) -> str:
    """`text` with each escape as the letter it stands for, and brackets as they are."""
    return re.sub(r"\\([()\[\]{}|<>_:\\])", r"\1", text)
