"""Paths on the engine's box, while they are typed elsewhere."""

from typing import Literal

from msgspec import Struct

PathKind = Literal["", "file", "folder"]
"""Empty: nothing is there."""


class PathFound(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a path leads to."""

    kind: PathKind = ""
    completions: list[str] = []
    """Paths that are there and begin with what was typed, by name; those of folders end with a slash."""
