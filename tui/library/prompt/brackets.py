"""Which brackets of a prompt belong together."""

from msgspec import Struct

OPENED_BY = {")": "(", "]": "["}


class Pairs(Struct, frozen=True):
    """The brackets of one text."""

    closing: dict[int, int]
    """Where each bracket that is closed closes, by where it opens."""
    stray: list[int]
    """Those without a partner, in order."""


def pair(text: str) -> Pairs:
    """Match the brackets of `text`; what stands behind a backslash is none.

    A closing bracket takes the nearest of its kind; what was opened between is stray.
    """
    closing: dict[int, int] = {}
    stack: list[int] = []
    stray: list[int] = []
    place = 0
    while place < len(text):
        letter = text[place]
        if letter == "\\":
            place += 2
            continue
        if letter in "([":
            stack.append(place)
        elif letter in ")]":
            depth = next((n for n in range(len(stack) - 1, -1, -1) if text[stack[n]] == OPENED_BY[letter]), None)
            if depth is None:
                stray.append(place)
            else:
                stray += stack[depth + 1 :]
                closing[stack[depth]] = place
                del stack[depth:]
        place += 1
    return Pairs(closing, sorted(stray + stack))


def outermost(text: str, start: int, end: int, pairs: Pairs, wanted: str) -> list[int]:
    """Where a letter of `wanted` stands in `text[start:end]` outside every pair of brackets in it."""
    found: list[int] = []
    place = start
    while place < end:
        if text[place] == "\\":
            place += 2
            continue
        if place in pairs.closing and pairs.closing[place] < end:
            place = pairs.closing[place]
        elif text[place] in wanted:
            found.append(place)
        place += 1
    return found
