"""Choices and wildcards: `{red|blue}`, `{2$$ and $$a|b|c}`, `{0.5::a|b}` and `__colours__`, made into one prompt."""

import itertools
import random
import re
from collections.abc import Sequence
from typing import Final

from tui.library.prompt.notices import Notice, PromptError
from tui.library.prompt.wildcards import Wildcards

MAX_DEPTH: Final = 16
"""How far wildcards may lead to further wildcards."""

MAX_LENGTH: Final = 20_000
"""Letters of an expanded prompt."""

_WILDCARD = re.compile(r"__(?P<name>[\w./*-]*?[\w*])__")
_COUNT = re.compile(r"\s*(?P<low>\d*)(?:-(?P<high>\d*))?\s*")
_SHARE = re.compile(r"\s*(?P<share>\d+\.?\d*|\.\d+)::")


def has_choices(prompt: str) -> bool:
    """Whether `prompt` holds anything to expand."""
    bare = re.sub(r"\\.", "", prompt)
    return "{" in bare or "}" in bare or _WILDCARD.search(bare) is not None


def expand(prompt: str, wildcards: Wildcards, seed: int) -> str:
    """`prompt` with every choice made; the same `seed` and files make the same. Escapes stay.

    Raises:
        PromptError: a brace is not closed, a count is none, or a wildcard has no file.
    """
    if not has_choices(prompt):
        return prompt
    expanded = _Expansion(prompt, wildcards, random.Random(seed), 0).text()
    if len(expanded) > MAX_LENGTH:
        raise PromptError(prompt, Notice(start=0, end=0, text=f"it grows beyond {MAX_LENGTH} letters.", kind="error"))
    return expanded


class _Expansion:
    """One text that is read from left to right."""

    def __init__(self, text: str, wildcards: Wildcards, choice: random.Random, depth: int) -> None:
        self._text = text
        self._wildcards = wildcards
        self._random = choice
        self._depth = depth

    def text(self) -> str:
        return self._said(0, len(self._text))

    def _said(self, start: int, end: int) -> str:
        said: list[str] = []
        place = start
        while place < end:
            letter = self._text[place]
            if letter == "\\":
                said.append(self._text[place : place + 2])
                place += 2
            elif letter == "{":
                close = self._close(place, end)
                said.append(self._choice(place + 1, close))
                place = close + 1
            elif letter == "}":
                raise self._wrong(place, place + 1, "nothing is opened that this brace closes.")
            elif letter == "_" and (match := _WILDCARD.match(self._text, place, end)):
                said.append(self._wildcard(match))
                place = match.end()
            else:
                said.append(letter)
                place += 1
            if len(said) > MAX_LENGTH:
                raise self._wrong(place, place, f"it grows beyond {MAX_LENGTH} letters.")
        return "".join(said)

    def _close(self, start: int, end: int) -> int:
        depth, place = 0, start
        while place < end:
            letter = self._text[place]
            if letter == "\\":
                place += 1
            depth += (letter == "{") - (letter == "}")
            if depth == 0:
                return place
            place += 1
        raise self._wrong(start, start + 1, "this brace is never closed.")

    def _choice(self, start: int, close: int) -> str:
        """One way to say what stands between two braces."""
        low = high = 1
        between = ", "
        marks = self._outside(start, close, "$$")[:2]
        bars = self._outside(start, close, "|")
        marks = [mark for mark in marks if not bars or mark < bars[0]]
        if marks:
            low, high = self._count(start, marks[0])
            start = marks[-1] + 2
            if len(marks) == 2:
                between = self._text[marks[0] + 2 : marks[1]]
        edges = [start - 1, *(bar for bar in bars if bar >= start), close]
        options = [(left + 1, right) for left, right in itertools.pairwise(edges)]
        high = len(options) if high < 0 else high
        if low > high:
            raise self._wrong(start, close, "the smaller count comes first.")
        count = self._random.randint(min(low, len(options)), min(high, len(options)))
        return between.join(self._said(*option) for option in self._pick(options, count))

    def _count(self, start: int, end: int) -> tuple[int, int]:
        match = _COUNT.fullmatch(self._text, start, end)
        if match is None or not (match["low"] or match["high"]):
            raise self._wrong(start, end, "before $$ stands how many to choose, such as 2 or 1-3.")
        low = int(match["low"] or 0)
        if match["high"] is None:
            return low, low
        return low, int(match["high"]) if match["high"] else -1

    def _pick(self, options: Sequence[tuple[int, int]], count: int) -> list[tuple[int, int]]:
        """`count` different options; those that are written as `2::a` twice as often."""
        left: list[tuple[float, tuple[int, int]]] = []
        for start, end in options:
            match = _SHARE.match(self._text, start, end)
            left.append((float(match["share"]), (match.end(), end)) if match else (1.0, (start, end)))
        picked: list[tuple[int, int]] = []
        for _ in range(count):
            shares = [share for share, _ in left]
            index = self._random.choices(range(len(left)), shares)[0] if any(shares) else 0
            picked.append(left.pop(index)[1])
        return picked

    def _outside(self, start: int, end: int, wanted: str) -> list[int]:
        """Where `wanted` stands outside inner braces."""
        found: list[int] = []
        depth, place = 0, start
        while place < end:
            letter = self._text[place]
            if letter == "\\":
                place += 2
                continue
            depth += (letter == "{") - (letter == "}")
            if depth == 0 and self._text.startswith(wanted, place):
                found.append(place)
                place += len(wanted)
                continue
            place += 1
        return found

    def _wildcard(self, match: re.Match[str]) -> str:
        if self._depth >= MAX_DEPTH:
            raise self._wrong(match.start(), match.end(), "wildcards lead to each other without end.")
        values = self._wildcards.values(match["name"])
        if not values:
            known = ", ".join(self._wildcards.names()[:8]) or "none"
            where = f"no wildcard file is called so in {self._wildcards.folder} (there are: {known})."
            raise self._wrong(match.start(), match.end(), where)
        shares = [value.share for value in values]
        value = self._random.choices(values, shares)[0] if any(shares) else values[0]
        return _Expansion(value.text, self._wildcards, self._random, self._depth + 1).text()

    def _wrong(self, start: int, end: int, text: str) -> PromptError:
        return PromptError(self._text, Notice(start=start, end=end, text=text, kind="error"))
