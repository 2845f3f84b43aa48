"""Wildcard files: one value a line in a text file, below one folder."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from tui.library.bounded import open_ordinary
from tui.library.listing import is_tellable

MAX_BYTES: Final = 4_000_000
"""Of a wildcard file that is read."""

MAX_FILES: Final = 10_000

_SHARE = re.compile(r"(?P<share>\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})::")


class Value(Struct, frozen=True):
    """One line of a wildcard file."""

    text: str
    share: float = 1.0
    """How often it is chosen, beside the others."""


class Wildcards:
    """The wildcard files below `folder`; none when it is missing. A line that begins with # says nothing."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        """What wildcards can be called, sorted; `a/b` for a file in a folder."""
        if self.folder is None or not self.folder.is_dir():
            return []
        found: list[str] = []
        for path in self.folder.rglob("*.txt"):
            if path.is_file() and is_tellable(path):
                found.append(path.relative_to(self.folder).with_suffix("").as_posix())
            if len(found) >= MAX_FILES:
                break
        return sorted(found)

    def files(self, name: str, names: Sequence[str]) -> Iterator[Path]:
        """The files of the wildcard called `name`, or of all of `names` that fit it where it holds a `*`."""
        if self.folder is not None:
            fits = _Pattern(name)
            yield from (self.folder / f"{known}.txt" for known in names if fits(known))


class _Pattern:
    """A name in which each `*` stands for anything. However many there are, every letter is looked at once a part."""

    def __init__(self, name: str) -> None:
        self._first, *self._further = name.lower().split("*")

    def __call__(self, known: str) -> bool:
        known = known.lower()
        if not self._further:
            return known == self._first
        *between, last = self._further
        place = len(self._first)
        if not known.startswith(self._first):
            return False
        for part in between:
            found = known.find(part, place)
            if found < 0:
                return False
            place = found + len(part)
        return len(known) - len(last) >= place and known.endswith(last)


def read_values(path: Path) -> list[Value]:
    """What the wildcard file at `path` lists; nothing of what is beyond :data:`MAX_BYTES`.

    Raises:
        OSError: it cannot be read.
    """
    with open_ordinary(path) as file:
        text = file.read(MAX_BYTES).decode("utf-8", errors="replace")
    lines = (line.strip() for line in text.splitlines())
    return [_value(line) for line in lines if line and not line.startswith("#")]


def _value(line: str) -> Value:
    match = _SHARE.match(line)
    return Value(line[match.end() :], float(match["share"])) if match else Value(line)
