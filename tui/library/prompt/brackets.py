"""Which brackets of a prompt belong together."""

from collections import Counter
from typing import Final

from msgspec import Struct

OPENED_BY: Final = {")": "(", "]": "["}

MAX_NESTED: Final = 100
"""Brackets inside one another that mean something; a weight of 1.1 is 13,780 by then."""


class Pairs(Struct, frozen=True):
    """The brackets of one text."""

    closing: dict[int, int]
    """Where each bracket that is closed closes, by where it opens."""
    stray: list[int]
    """Those without a partner, in order."""
    too_deep: int | None = None
    """The first that stands inside of more than :data:`MAX_NESTED` others."""


def pair(text: str) -> Pairs:
    """Match the brackets of `text`; what stands behind a backslash is none.

    A closing bracket takes the nearest of its kind; what was opened between is stray.
    """
    closing: dict[int, int] = {}
    stack: list[int] = []
    stray: list[int] = []
    opened: Counter[str] = Counter()
    too_deep: int | None = None
    place = 0
    while place < len(text):
        letter = text[place]
        if letter == "\\":
            place += 2
            continue
        if letter in "([":
            stack.append(place)
            opened[letter] += 1
            if len(stack) > MAX_NESTED and too_deep is None:
                too_deep = place
        elif letter in ")]" and not opened[OPENED_BY[letter]]:
            stray.append(place)
        elif letter in ")]":
            while text[start := stack.pop()] != OPENED_BY[letter]:
                opened[text[start]] -= 1
                stray.append(start)
            opened[text[start]] -= 1
            closing[start] = place
        place += 1
    return Pairs(closing, sorted(stray + stack), too_deep)


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
