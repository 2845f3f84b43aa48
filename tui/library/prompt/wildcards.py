"""Wildcard files: one value a line in a text file, below one folder."""

import re
from pathlib import Path
from typing import Final

from msgspec import Struct

from tui.library.listing import is_tellable

MAX_BYTES: Final = 4_000_000
"""Of a wildcard file that is read."""

MAX_FILES: Final = 10_000

_SHARE = re.compile(r"(?P<share>\d+\.?\d*|\.\d+)::")


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

    def values(self, name: str) -> list[Value]:
        """The values of the wildcard called `name`, or of all that fit it where it holds a `*`."""
        if self.folder is None:
            return []
        pattern = re.compile("".join(".*" if letter == "*" else re.escape(letter) for letter in name), re.IGNORECASE)
        fitting = [known for known in self.names() if pattern.fullmatch(known)]
        return [value for known in fitting for value in _read(self.folder / f"{known}.txt")]


def _read(path: Path) -> list[Value]:
    with path.open("rb") as file:
        text = file.read(MAX_BYTES).decode("utf-8", errors="replace")
    lines = (line.strip() for line in text.splitlines())
    return [_value(line) for line in lines if line and not line.startswith("#")]


def _value(line: str) -> Value:
    match = _SHARE.match(line)
    return Value(line[match.end() :], float(match["share"])) if match else Value(line)
