"""Choices and wildcards: `{red|blue}`, `{2$$ and $$a|b|c}`, `{0.5::a|b}` and `__colours__`, made into one prompt.

`${name=text}` keeps a text that `${name}` says, each time anew; `${name=!text}` chooses once.
"""

import itertools
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tui.library.prompt.notices import Notice, PromptError
from tui.library.prompt.wildcards import MAX_BYTES, Value, Wildcards, read_values

MAX_DEPTH: Final = 16
"""How far wildcards may lead to further wildcards."""

MAX_LENGTH: Final = 20_000
"""Letters of an expanded prompt."""

MAX_NESTED: Final = 100
"""Braces inside one another."""

MAX_WORK: Final = 20 * MAX_LENGTH
"""Letters that are looked at until a prompt stands, those of every wildcard on the way among them."""

MAX_READ: Final = 16_000_000
"""Bytes of all the wildcard files that are read for one prompt."""

_WILDCARD = re.compile(r"__(?P<name>[\w./*-]{0,200}?[\w*])__")
_PLAIN = re.compile(r"[^\\{}_$]+")
_VARIABLE = re.compile(r"\s*+(?P<name>[^\W\d]\w{0,99})\s*+(?P<sign>=!?|:)?")
_COUNT = re.compile(r"\s*+(?P<low>\d{0,6})(?:-(?P<high>\d{0,6}))?\s*+")
_SHARE = re.compile(r"\s*+(?P<share>\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})::")


def has_choices(prompt: str) -> bool:
    """Whether `prompt` holds anything to expand."""
    bare = re.sub(r"\\.", "", prompt)
    return "{" in bare or "}" in bare or _WILDCARD.search(bare) is not None


def expand(prompt: str, wildcards: Wildcards, seed: int) -> str:
    """`prompt` with every choice made; the same `seed` and files make the same. Escapes stay.

    It takes no longer than :data:`MAX_WORK` and :data:`MAX_READ` allow, whatever the prompt and the files say.

    Raises:
        PromptError: a brace is not closed, a count is none, a wildcard has no file, or it grows too long.
    """
    if not has_choices(prompt):
        return prompt
    expanded = _Expansion(prompt, _Work(wildcards, random.Random(seed)), 0).text()
    if len(expanded) > MAX_LENGTH:
        raise PromptError(prompt, Notice(start=0, end=0, text=f"it grows beyond {MAX_LENGTH} letters.", kind="error"))
    return expanded


class _TooMuch(Exception):
    """Why an expansion goes no further."""


class _Work:
    """What all texts of one expansion share: chance, the files that were read, and what may still be done."""

    def __init__(self, wildcards: Wildcards, chance: random.Random) -> None:
        self.wildcards = wildcards
        self.random = chance
        self._letters = MAX_WORK
        self._bytes = MAX_READ
        self._names: list[str] | None = None
        self._values: dict[str, list[Value]] = {}
        self._files: dict[Path, list[Value]] = {}
        self.variables: dict[str, str] = {}

    @property
    def names(self) -> list[str]:
        """What wildcards can be called."""
        if self._names is None:
            self._names = self.wildcards.names()
        return self._names

    def spend(self, letters: int) -> None:
        """Look at so many letters."""
        self._letters -= letters
        if self._letters < 0:
            raise _TooMuch(f"it grows beyond {MAX_LENGTH} letters.")

    def values(self, name: str) -> list[Value]:
        """What the wildcard `name` may become."""
        if name not in self._values:
            files = self.wildcards.files(name, self.names)
            self._values[name] = [value for file in files for value in self._read(file)]
        return self._values[name]

    def _read(self, file: Path) -> list[Value]:
        if file not in self._files:
            try:
                self._bytes -= min(file.stat().st_size, MAX_BYTES)
                if self._bytes < 0:
                    raise _TooMuch(f"its wildcards have more than {MAX_READ >> 20} MB of files.")
                self._files[file] = read_values(file)
            except OSError as error:
                raise _TooMuch(f"the wildcard file {file} cannot be read ({error.strerror}).") from None
        return self._files[file]


class _Expansion:
    """One text that is read from left to right."""

    def __init__(self, text: str, work: _Work, depth: int) -> None:
        self._text = text
        self._work = work
        self._random = work.random
        self._depth = depth

    def text(self) -> str:
        try:
            self._work.spend(len(self._text))
            self._pairs = self._braces()
            return self._said(0, len(self._text))
        except _TooMuch as error:
            raise self._wrong(0, 0, str(error)) from None

    def _braces(self) -> dict[int, int]:
        """Where each brace closes, by where it opens; a brace that is never closed is none of them."""
        pairs: dict[int, int] = {}
        opened: list[int] = []
        place = 0
        while place < len(self._text):
            letter = self._text[place]
            if letter == "{":
                opened.append(place)
                if len(opened) > MAX_NESTED:
                    raise self._wrong(place, place + 1, f"no brace can stand inside of more than {MAX_NESTED} others.")
            elif letter == "}" and opened:
                pairs[opened.pop()] = place
            place += 2 if letter == "\\" else 1
        return pairs

    def _said(self, start: int, end: int) -> str:
        said: list[str] = []
        place = start
        while place < end:
            letter = self._text[place]
            if letter == "\\":
                said.append(self._text[place : place + 2])
                place += 2
            elif letter == "$" and (match := self._variable_at(place)) is not None:
                close = self._pairs[place + 1]
                said.append(self._variable(match, close))
                place = close + 1
            elif letter == "{":
                if place not in self._pairs:
                    raise self._wrong(place, place + 1, "this brace is never closed.")
                close = self._pairs[place]
                said.append(self._choice(place + 1, close))
                place = close + 1
            elif letter == "}":
                raise self._wrong(place, place + 1, "nothing is opened that this brace closes.")
            elif letter == "_" and (match := _WILDCARD.match(self._text, place, end)):
                said.append(self._wildcard(match))
                place = match.end()
            else:
                plain = _PLAIN.match(self._text, place, end)
                said.append(plain.group() if plain is not None else letter)
                place += len(said[-1])
        return "".join(said)

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
        place = start
        while place < end:
            if self._text[place] == "\\":
                place += 2
            elif place in self._pairs:
                place = self._pairs[place] + 1
            elif self._text.startswith(wanted, place):
                found.append(place)
                place += len(wanted)
            else:
                place += 1
        return found

    def _variable_at(self, place: int) -> re.Match[str] | None:
        """What stands in the braces behind the $ at `place`, where that is a variable."""
        close = self._pairs.get(place + 1)
        match = _VARIABLE.match(self._text, place + 2, close) if close is not None else None
        return match if match is not None and (match["sign"] or match.end() == close) else None

    def _variable(self, match: re.Match[str], close: int) -> str:
        """What a variable says; nothing where it is given its text."""
        name, sign, variables = match["name"], match["sign"] or "", self._work.variables
        if sign.startswith("="):
            variables[name] = self._said(match.end(), close) if sign == "=!" else self._text[match.end() : close]
            return ""
        if name not in variables and sign == ":":
            return self._said(match.end(), close)
        if name not in variables:
            how = f"no variable is called {name!r} yet: give it a text before, as ${{{name}=red}}."
            raise self._wrong(match.start() - 2, close + 1, how)
        if self._depth >= MAX_DEPTH:
            raise self._wrong(match.start() - 2, close + 1, "variables lead to each other without end.")
        return _Expansion(variables[name], self._work, self._depth + 1).text()

    def _wildcard(self, match: re.Match[str]) -> str:
        if self._depth >= MAX_DEPTH:
            raise self._wrong(match.start(), match.end(), "wildcards lead to each other without end.")
        values = self._work.values(match["name"])
        if not values:
            known = ", ".join(self._work.names[:8]) or "none"
            where = f"no wildcard file is called so in {self._work.wildcards.folder} (there are: {known})."
            raise self._wrong(match.start(), match.end(), where)
        shares = [value.share for value in values]
        value = self._random.choices(values, shares)[0] if any(shares) else values[0]
        return _Expansion(value.text, self._work, self._depth + 1).text()

    def _wrong(self, start: int, end: int, text: str) -> PromptError:
        return PromptError(self._text, Notice(start=start, end=end, text=text, kind="error"))
